//! The two languages of one hub get into each other's way: what is said in one is not heard in the other, or a right in
//! one is taken for a right in the other.

use fanfare_testkit::RedisServer;
use serde_json::json;

use super::{
    MERCURE, PATH, SECRET, asking, detail, guarded_hub, hub, listen, post, publish, publisher,
    token,
};
use crate::support::issuer::{bearer, claims as native_claims, sign_with_secret};
use crate::support::{Hub, Setup};

#[test]
fn what_is_published_in_one_arrives_in_the_other() {
    let hub = hub();
    let mut native = hub.subscribe("topic=https://example.com/**");
    let mut mercure = listen(&hub, "match_urlpattern=https://example.com/:any");
    publish(&hub, "topic=https://example.com/a&type=kind&data=one");
    let event = native.next();
    assert_eq!((event.kind.as_deref(), &*event.data), (Some("kind"), "one"));
    assert_eq!(mercure.next().data, "one");
    hub.publisher()
        .publish(&json!({"topic": "https://example.com/b", "event": "made", "message": "two"}));
    let event = mercure.next();
    assert_eq!((event.kind.as_deref(), &*event.data), (Some("made"), "two"));
    assert_eq!(native.next().data, "two");
}

#[test]
fn a_native_id_is_a_cursor_in_the_other_too() {
    let hub = hub();
    let id = hub.publisher().send_to("a", "one");
    hub.publisher().send_to("a", "two");
    assert_eq!(asking(&hub, "match=a").after(&id).open().next().data, "two");
}

#[test]
fn a_token_of_one_is_none_in_the_other() {
    let hub = guarded_hub(&[]);
    let native = sign_with_secret(
        jsonwebtoken::Algorithm::HS256,
        SECRET,
        &native_claims("ada", 60.0, &json!({"publish": ["**"], "subscribe": ["**"]})),
    );
    assert_eq!(post(&hub, &native, "topic=a").status, 401);
    let mercure = token(&json!([detail(&["publish", "subscribe"], &["*"])]));
    let headers = [("Authorization", &*bearer(&mercure)), ("Content-Type", "application/json")];
    let answer = hub.publisher().post(&headers, r#"{"message": "a"}"#);
    assert!(matches!(answer.status, 401 | 403), "{answer:?}");
}

#[test]
fn an_access_key_opens_both() {
    let hub = guarded_hub(&["--publish-key", "a-key-of-the-tests-0123456789"]);
    assert_eq!(post(&hub, "a-key-of-the-tests-0123456789", "topic=a").status, 200);
}

#[test]
fn a_hub_that_was_not_told_to_speaks_only_its_own() {
    let hub = Hub::start(&[]);
    assert_eq!(hub.get(&format!("{PATH}?match=a")).status, 404);
    assert_eq!(post(&hub, &publisher(), "topic=a").status, 404);
}

#[test]
fn a_loss_is_told_to_open_streams_in_the_words_of_their_own() {
    for gaps in [true, false] {
        let redis = RedisServer::start(&[]);
        let (url, switch) = (redis.url(), format!("--mercure-gap-events={gaps}"));
        let arguments = ["--redis", &url, "--heartbeat", "200ms", &switch];
        let hub = Setup::new(&[&MERCURE, &arguments[..]].concat()).own_log().start();
        let mut mercure = listen(&hub, "match=a");
        let mut native = hub.subscribe("topic=a");
        let last = publish(&hub, "topic=a&data=before");
        assert_eq!([mercure.next().data, native.next().data], ["before", "before"]);
        redis.command(&["FLUSHALL"]);
        let told = native.gap("engine_lost_writes");
        if gaps {
            assert_eq!(mercure.gap("engine_lost_writes").id, format!("#{}", told.id));
        } else {
            // It has no words for a loss, and ends before it: the next head tells.
            assert!(mercure.until_closed().is_empty());
            mercure = asking(&hub, "match=a").after(&last).open();
            let begins = mercure.head.header("mercure-last-event-id");
            assert_eq!(begins, Some("earliest"));
        }
        publish(&hub, "topic=a&data=after");
        assert_eq!([mercure.next().data, native.next().data], ["after", "after"], "{gaps}");
    }
}
