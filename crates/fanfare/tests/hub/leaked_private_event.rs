//! A private event is heard by someone without a grant for it, or an event of several topics comes twice.

use serde_json::{Value, json};

use crate::over_http1_and_http2;
use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Http, Hub, Publisher, Subscriber};

const PUBLIC: [&str; 4] = ["--jwt-secret", SECRET, "--anonymous-subscribe", "**"];

over_http1_and_http2!(
    a_private_event_is_heard_by_those_who_are_not_granted_it,
    a_private_event_is_replayed_to_those_who_are_not_granted_it,
    an_event_of_several_topics_comes_twice,
);

fn holder(rights: &Value) -> String {
    bearer(&token(&claims("ada", 3600.0, rights)))
}

fn publish(publisher: &mut Publisher, event: &Value) -> String {
    let everywhere = holder(&json!({"publish": ["**"]}));
    let headers = [("Authorization", &*everywhere), ("Content-Type", "application/json")];
    let response = publisher.post(&headers, event.to_string());
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["id"].as_str().unwrap().to_owned()
}

fn subscribe(hub: &Hub, http: Http, topics: &[&str], after: Option<&str>) -> [Subscriber; 3] {
    let ada = holder(&json!({"subscribe": ["users/ada/**"]}));
    let bob = holder(&json!({"subscribe": ["users/bob/**"]}));
    let query = topics.iter().map(|topic| format!("topic={topic}")).collect::<Vec<_>>().join("&");
    [Some(ada), Some(bob), None].map(|credential| {
        let mut subscription = hub.subscription().over(http).query(&query);
        if let Some(id) = after {
            subscription = subscription.after(id);
        }
        match credential {
            Some(credential) => subscription.header("Authorization", &credential).open(),
            None => subscription.open(),
        }
    })
}

fn secrets(publisher: &mut Publisher) {
    publish(publisher, &json!({"topic": "users/ada/mail", "message": "to ada", "private": true}));
    publish(
        publisher,
        &json!({"topics": ["users/bob/mail", "users/ada/x"], "message": "both", "private": true}),
    );
    publish(publisher, &json!({"topic": "news", "message": "to nobody", "private": true}));
    publish(publisher, &json!({"topics": ["news", "users/ada/mail"], "message": "end"}));
}

fn judge(heard: [Subscriber; 3]) {
    let expected: [&[&str]; 3] = [&["to ada", "both"], &["both"], &[]];
    for (mut subscriber, expected) in heard.into_iter().zip(expected) {
        let events = subscriber.until("end");
        let messages: Vec<_> = events.iter().map(|event| &*event.data).collect();
        assert_eq!(messages, expected);
    }
}

fn a_private_event_is_heard_by_those_who_are_not_granted_it(http: Http) {
    let hub = Hub::start(&PUBLIC);
    let mut publisher = hub.publisher();
    for topics in [&["**"][..], &["users/ada/*", "users/bob/*", "users/*/x", "news"]] {
        let heard = subscribe(&hub, http, topics, None);
        secrets(&mut publisher);
        judge(heard);
    }
}

fn a_private_event_is_replayed_to_those_who_are_not_granted_it(http: Http) {
    // Out of the window, and out of the log.
    for window in ["1000", "1"] {
        let hub = Hub::start(&[&PUBLIC[..], &["--window-count", window]].concat());
        let mut publisher = hub.publisher();
        let start = publish(&mut publisher, &json!({"topic": "before", "message": "start"}));
        secrets(&mut publisher);
        for topics in [&["**"][..], &["users/ada/mail", "users/bob/mail", "users/ada/x", "news"]] {
            judge(subscribe(&hub, http, topics, Some(&start)));
        }
    }
}

fn an_event_of_several_topics_comes_twice(http: Http) {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let start = publisher.send_to("before", "start");
    let query = "topic=a&topic=b/1&topic=b/*&topic=**/1";
    let mut live = hub.subscription().over(http).query(query).open();
    publisher.publish(&json!({"topics": ["a", "b/1", "c/1", "a"], "message": "once"}));
    publisher.publish(&json!({"topics": ["x", "b/2"], "message": "then"}));
    publisher.publish(&json!({"topics": ["x", "y"], "message": "not"}));
    publisher.send_to("a", "end");
    let mut replayed = hub.subscription().over(http).query(query).after(&start).open();
    for subscriber in [&mut live, &mut replayed] {
        let events = subscriber.until("end");
        let messages: Vec<_> = events.iter().map(|event| &*event.data).collect();
        assert_eq!(messages, ["once", "then"]);
    }
    let query = format!("{query}&envelope=json");
    let mut enveloped = hub.subscription().over(http).query(&query).after(&start).open();
    let shown: Value = serde_json::from_str(&enveloped.next().data).unwrap();
    assert_eq!((&shown["topic"], &shown["topics"]), (&json!("a"), &json!(["a", "b/1", "c/1"])));
    let shown: Value = serde_json::from_str(&enveloped.next().data).unwrap();
    assert_eq!(shown["topics"], json!(["x", "b/2"]));
    let shown: Value = serde_json::from_str(&enveloped.next().data).unwrap();
    assert_eq!(shown.get("topics"), None, "one topic looks as it always has");
}

#[test]
fn a_ticket_is_worth_its_holders_rights_only() {
    let hub = Hub::start(&PUBLIC);
    let ada = holder(&json!({"subscribe": ["users/ada/**"]}));
    let answer = hub.request("POST", "/sse/ticket", &[("Authorization", &ada)]);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    let mut heard = hub.subscribe(&format!("topic=**&ticket={ticket}"));
    secrets(&mut hub.publisher());
    let events = heard.until("end");
    let messages: Vec<_> = events.iter().map(|event| &*event.data).collect();
    assert_eq!(messages, ["to ada", "both"], "and not what was for nobody");
}

#[test]
fn a_native_subscriber_is_shown_the_hubs_id() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let position = hub.publisher().publish(&json!({"message": "m", "id": "urn:1"}));
    assert_eq!(subscriber.next().id, position);
}

#[test]
fn every_one_of_several_topics_needs_a_grant() {
    let hub = Hub::start(&PUBLIC);
    let ada = holder(&json!({"publish": ["users/ada/*"]}));
    let headers = [("Authorization", &*ada), ("Content-Type", "application/json")];
    let post = |topics: Value| {
        hub.publisher().post(&headers, json!({"topics": topics, "message": "m"}).to_string()).status
    };
    assert_eq!(post(json!(["users/ada/a", "users/ada/b"])), 200);
    assert_eq!(post(json!(["users/ada/a", "users/bob/b"])), 403);
}

#[test]
fn extra_fields_of_a_wrong_form_are_refused() {
    let hub = Hub::start(&[]);
    let too_many: Vec<_> = (0..33).map(|n| n.to_string()).collect();
    for (event, place, kind) in [
        (
            json!({"message": "m", "topic": "a", "topics": ["b"]}),
            json!(["body", "topics"]),
            "value_error",
        ),
        (json!({"message": "m", "topics": []}), json!(["body", "topics"]), "value_error"),
        (json!({"message": "m", "topics": too_many}), json!(["body", "topics"]), "value_error"),
        (json!({"message": "m", "topics": "a"}), json!(["body", "topics"]), "list_type"),
        (json!({"message": "m", "topics": ["a", 1]}), json!(["body", "topics", 1]), "string_type"),
        (json!({"message": "m", "topics": ["a*"]}), json!(["body", "topics", 0]), "value_error"),
        (json!({"message": "m", "private": "yes"}), json!(["body", "private"]), "bool_type"),
        (json!({"message": "m", "id": "17-4"}), json!(["body", "id"]), "value_error"),
        (json!({"message": "m", "id": "a\nb"}), json!(["body", "id"]), "value_error"),
        (json!({"message": "m", "id": 17}), json!(["body", "id"]), "string_type"),
    ] {
        let response = hub.publisher().post_json(event.to_string());
        let detail = &response.json()["detail"][0];
        assert_eq!(
            (response.status, &detail["loc"], &detail["type"]),
            (422, &place, &json!(kind)),
            "{event}"
        );
    }
}
