//! A private update reaches somebody who was granted none of its topics: live, replayed, or by way of what others
//! share.

use fanfare_testkit::RedisServer;
use serde_json::json;

use super::{
    DETAIL, MERCURE, SECRET, asking, detail, guarded_hub, hub, listen, publish, sign, token,
};
use crate::support::{Hub, Setup, Subscriber};

/// Opens a stream of everything for whoever holds this token.
fn all(hub: &Hub, token: &str) -> Subscriber {
    asking(hub, "match=*").header("Authorization", &format!("Bearer {token}")).open()
}

/// What is heard until the end is published.
fn heard(subscriber: &mut Subscriber) -> Vec<String> {
    std::iter::from_fn(|| Some(subscriber.next().data)).take_while(|data| data != "end").collect()
}

#[test]
fn a_private_update_reaches_only_those_who_were_granted_one_of_its_topics() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let of = |topics: &[&str]| token(&json!([detail(&["subscribe"], topics)]));
    let by_pattern = token(&json!([{
        "type": DETAIL, "actions": ["subscribe"],
        "topics": [{"match": "https://example.com/users/:id", "match_type": "urlpattern"}],
    }]));
    let older = sign(Some("JWT"), &json!({"mercure": {"subscribe": ["https://example.com/{id}"]}}));
    let mut streams = [
        (all(&hub, &of(&["*"])), vec!["public", "one", "two"]),
        (all(&hub, &of(&["https://example.com/1"])), vec!["public", "one"]),
        (all(&hub, &of(&["https://example.com/users/7"])), vec!["public", "two"]),
        (all(&hub, &by_pattern), vec!["public", "two"]),
        (all(&hub, &older), vec!["public", "one", "two"]),
        (all(&hub, &of(&["other"])), vec!["public"]),
        (all(&hub, &token(&json!([detail(&["publish"], &["*"])]))), vec!["public"]),
        (listen(&hub, "match=*"), vec!["public"]),
        (listen(&hub, "match_urlpattern=https://example.com/*&match=end"), vec!["public"]),
    ];
    publish(&hub, "topic=https://example.com/1&data=public");
    publish(&hub, "topic=https://example.com/1&data=one&private=on");
    publish(
        &hub,
        "topic=https://example.com/2&topic=https://example.com/users/7&data=two&private=",
    );
    publish(&hub, "topic=end&data=end");
    for (n, (stream, expected)) in streams.iter_mut().enumerate() {
        assert_eq!(heard(stream), *expected, "stream {n}");
    }
}

#[test]
fn a_private_update_is_replayed_to_those_alone_who_may_hear_it_now() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    publish(&hub, "topic=a&data=secret&private");
    publish(&hub, "topic=a&data=public");
    publish(&hub, "topic=end&data=end");
    let mine = token(&json!([detail(&["subscribe"], &["a"])]));
    let not_mine = token(&json!([detail(&["subscribe"], &["b"])]));
    // Whoever may hear it comes first, so that what is kept for them is there for the others.
    for (token, expected) in [
        (Some(&mine), vec!["secret", "public"]),
        (Some(&not_mine), vec!["public"]),
        (None, vec!["public"]),
    ] {
        let mut subscription = asking(&hub, "match=*").after("earliest");
        if let Some(token) = token {
            subscription = subscription.header("Authorization", &format!("Bearer {token}"));
        }
        assert_eq!(heard(&mut subscription.open()), expected);
    }
}

/// What was read for one who may hear it is still there when others ask for the same stretch, at either node.
#[test]
fn a_page_read_for_another_tells_nothing_private() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let own = ["--redis", &url, "--window-count", "4", "--jwt-secret", SECRET];
    let arguments = [&MERCURE[..], &own, &["--anonymous-subscribe", "**"]].concat();
    let nodes = [(); 2].map(|()| Setup::new(&arguments).own_log().start());
    let all: Vec<_> = (0..60).map(|n| (n.to_string(), n % 3 == 0)).collect();
    for (data, private) in &all {
        let private = if *private { "&private" } else { "" };
        publish(&nodes[0], &format!("topic=a&data={data}{private}"));
    }
    publish(&nodes[0], "topic=end&data=end");
    let whole: Vec<_> = all.iter().map(|(data, _)| data.clone()).collect();
    let public: Vec<_> = all.iter().filter(|(_, p)| !p).map(|(data, _)| data.clone()).collect();
    let mine = token(&json!([detail(&["subscribe"], &["a"])]));
    let not_mine = token(&json!([detail(&["subscribe"], &["b"])]));
    for node in &nodes {
        let hear = |token: Option<&String>| {
            let subscription = asking(node, "match=*").after("earliest");
            let bearer = token.map(|token| format!("Bearer {token}"));
            let headers = bearer.iter().map(|bearer| ("Authorization", &**bearer));
            heard(&mut headers.fold(subscription, |s, (n, v)| s.header(n, v)).open())
        };
        assert_eq!(hear(Some(&mine)), whole);
        assert_eq!((hear(Some(&not_mine)), hear(None)), (public.clone(), public.clone()));
        assert_eq!(hear(Some(&mine)), whole, "nor does it hide what others may hear");
        let native = node.subscription().query("topic=**").after("earliest").open().until("end");
        let native: Vec<_> = native.into_iter().map(|event| event.data).collect();
        assert_eq!(native, public);
    }
}

#[test]
fn a_native_subscriber_without_a_grant_gets_no_private_update() {
    let hub = hub();
    let mut native = hub.subscribe("topic=**");
    publish(&hub, "topic=a&data=secret&private=on");
    publish(&hub, "topic=a&data=public");
    assert_eq!(native.next().data, "public");
}
