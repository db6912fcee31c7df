//! An update is accepted that the protocol refuses, forges an event of the hub's, or reaches subscribers as another
//! than was sent.

use serde_json::json;

use super::{FORM, PATH, URL, asking, hub, hub_with, listen, post, publish, publisher, subscriber};
use crate::support::{Hub, Response, Subscriber};

#[test]
fn an_update_arrives_as_it_was_sent() {
    let hub = hub();
    let mut heard = listen(&hub, "match=https%3A%2F%2Fexample.com%2Fa&match=b");
    let answer = post(
        &hub,
        &publisher(),
        "topic=https%3A%2F%2Fexample.com%2Fa&data=x%0D%0Ay%0Dz+%2B&unknown=1",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let event = heard.next();
    assert_eq!((event.kind, &*event.data), (None, "x\ny\nz +"));
    assert_eq!(event.id, answer.text());
    publish(&hub, "topic=b&type=kind&data=");
    let event = heard.next();
    assert_eq!((event.kind.as_deref(), &*event.data), (Some("kind"), ""));
}

#[test]
fn data_does_not_forge_fields() {
    let hub = hub();
    let mut heard = listen(&hub, "match=a");
    publish(&hub, "topic=a&data=x%0Aevent:+mercure%0Aid:+1%0A%0Adata:+y");
    let event = heard.next();
    assert_eq!((event.kind, &*event.data), (None, "x\nevent: mercure\nid: 1\n\ndata: y"));
}

#[test]
fn the_id_of_the_hub_is_a_fragment() {
    let id = publish(&hub(), "topic=a");
    assert!(id.starts_with('#'), "{id}");
}

#[test]
fn what_the_protocol_refuses_is_refused() {
    let hub = hub();
    let mut heard = listen(&hub, "match=*");
    for form in [
        "",
        "data=x",
        "topic=",
        "topic=*",
        "topic=a&topic=*",
        "topic=a%0Ab",
        "topic=a&topic=%C2%85",
        "topic=a%E2%80%8Bb",
        "topic=%FF",
        "topic=a&data=%FF",
        "topic=/.well-known/mercure",
        "topic=/.well-known/%256Dercure/subscriptions",
        "topic=/.well-known/x/../mercure/subscriptions",
        "topic=https://elsewhere.example/.well-known/mercure/subscriptions/exact/a/b",
        "topic=a&topic=https://hub.example.com/.well-known/mercure",
        "topic=a&id=%23x",
        "topic=a&id=earliest",
        "topic=a&id=x%0Ay",
        "topic=a&id=x%00",
        "topic=a&type=mercure",
        "topic=a&type=x%0Ay",
        "topic=a&type=fanfare.gap",
        "topic=a&retry=1x",
        "topic=a&retry=-1",
    ] {
        let answer = post(&hub, &publisher(), form);
        assert_eq!(answer.status, 400, "{form}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    publish(&hub, "topic=a&data=last");
    assert_eq!(heard.next().data, "last", "nothing of all that was published");
}

#[test]
fn what_is_too_large_is_refused_as_such() {
    let hub = hub_with(&["--max-message", "1KiB"]);
    let long = |field: &str, length| format!("topic=a&{field}={}", "x".repeat(length));
    let many: String = (0..100).map(|n| format!("topic={n}&")).collect();
    for form in [
        long("data", 1025),
        long("topic", 1000),
        long("id", 1000),
        long("type", 1000),
        many,
        long("data", 300_000),
    ] {
        let answer = post(&hub, &publisher(), &form);
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    assert_eq!(post(&hub, &publisher(), &long("data", 1024)).status, 200);
}

#[test]
fn a_body_of_another_kind_is_refused() {
    let hub = hub();
    let bearer = format!("Bearer {}", publisher());
    let send = |kind: &str| {
        let headers = [("Authorization", &*bearer), ("Content-Type", kind)];
        hub.connect().request("POST", PATH, &headers, b"topic=a").status
    };
    assert_eq!(send("application/json"), 415);
    assert_eq!(send("multipart/form-data; boundary=x"), 415);
    assert_eq!(send(&format!("{FORM}; charset=UTF-8")), 200);
    assert_eq!(send("Application/X-WWW-Form-Urlencoded"), 200);
}

#[test]
fn an_id_of_the_publishers_is_the_events() {
    let hub = hub();
    let mut heard = listen(&hub, "match=a");
    let id = publish(&hub, "topic=a&id=urn:uuid:1&data=x");
    assert_eq!(id, "urn:uuid:1");
    let event = heard.next();
    assert_eq!((&*event.id, &*event.data), ("urn:uuid:1", "x"));
}

#[test]
fn the_time_to_come_back_is_sent_on_live_and_replayed() {
    let hub = hub();
    let mut native = hub.subscribe("topic=a");
    let bearer = format!("Bearer {}", subscriber());
    let of_all = || asking(&hub, "match=*").header("Authorization", &bearer);
    let mut live = of_all().open();
    publish(&hub, "topic=a&data=0");
    publish(&hub, "topic=a&retry=0150&data=1");
    publish(&hub, "topic=a&retry=7&private=on&id=urn:x&data=2");
    publish(&hub, "topic=a&data=3");
    for heard in [&mut live, &mut of_all().after("earliest").open()] {
        let retry = |heard: &Subscriber| heard.retries.last().copied();
        assert_eq!(heard.next().data, "0");
        let of_the_hub = retry(heard);
        assert!(!matches!(of_the_hub, None | Some(150)), "the stream began with the hub's own");
        for (data, expected) in [("1", 150), ("2", 7), ("3", 7)] {
            assert_eq!((&*heard.next().data, retry(heard)), (data, Some(expected)));
        }
    }
    assert_eq!([native.next().data, native.next().data], ["0", "1"]);
    assert!(
        native.retries.iter().all(|retry| *retry > 150),
        "the hub spreads native clients itself"
    );
}

#[test]
fn what_only_the_hub_says_cannot_be_said_in_the_other_language() {
    let hub = hub();
    let mut heard = listen(&hub, "match=*");
    for body in [
        json!({"topic": "/.well-known/mercure/subscriptions/exact/a/b", "message": "forged"}),
        json!({"topics": ["a", "/.well-known/%6Dercure/x"], "message": "forged"}),
        json!({"topic": "a", "event": "mercure", "message": "forged"}),
    ] {
        let answer = hub.publisher().post_json(body.to_string());
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
    }
    publish(&hub, "topic=a&data=last");
    assert_eq!(heard.next().data, "last", "nothing of all that was published");
    let other = Hub::start(&[]);
    let body = json!({"event": "mercure", "message": "mine"});
    assert_eq!(
        other.publisher().post_json(body.to_string()).status,
        200,
        "elsewhere it means nothing"
    );
}

#[test]
fn whoever_forges_is_told_which_field_it_was() {
    let hub = hub();
    let blamed = |response: Response| {
        assert_eq!(response.status, 422, "{}", response.text());
        let problem = &response.json()["detail"][0];
        (problem["loc"].clone(), problem["input"].clone())
    };
    let (ours, kind) = ("/.well-known/mercure/x", "mercure");
    for (body, field, input) in [
        (json!({"topic": ours, "message": "forged"}), "topic", ours),
        (json!({"topics": ["a", ours], "message": "forged"}), "topics", ours),
        (json!({"topic": "a", "event": kind, "message": "forged"}), "event", kind),
    ] {
        let (loc, of) = blamed(hub.publisher().post_json(body.to_string()));
        assert_eq!((loc, of), (json!(["body", field]), json!(input)), "{body}");
    }
    for (topic, event, place, input) in [
        ("%2F.well-known/mercure/x", "a", ["path", "topic"], ours),
        ("a", kind, ["header", "x-event"], kind),
    ] {
        let mut publisher = hub.publisher();
        publisher.path = format!("/sse/topics/{topic}");
        let (loc, of) = blamed(publisher.post(&[("X-Event", event)], "forged"));
        assert_eq!((loc, of), (json!(place), json!(input)), "{topic}");
    }
}

/// Whoever was given such an id would come back with it, and go on behind what it has not heard.
#[test]
fn an_id_of_the_hubs_is_refused_in_the_other_language() {
    let hub = hub();
    let mut heard = listen(&hub, "match=a");
    let first = publish(&hub, "topic=a&data=first");
    assert_eq!(heard.next().data, "first");
    let (epoch, _) = first.trim_start_matches('#').split_once('-').unwrap();
    let ahead = [format!("#{epoch}-60"), format!("{epoch}-60"), format!("0{epoch}-060")];
    for id in ahead.iter().map(String::as_str).chain(["#17-4", "#17", "#", "earliest"]) {
        let event = json!({"topic": "a", "id": id, "message": "forged"});
        for body in [event.to_string(), json!([event]).to_string()] {
            let answer = hub.publisher().post_json(body);
            assert_eq!(answer.status, 422, "{id}: {}", answer.text());
        }
    }
    publish(&hub, "topic=a&data=last");
    assert_eq!(heard.next().data, "last", "nothing of all that was published");
}

#[test]
fn an_update_of_several_topics_comes_once() {
    let hub = hub();
    let query = "match=https://example.com/a&match=https://example.com/b&match=the-end";
    let mut both = listen(&hub, query);
    let mut second = listen(&hub, "match=https://example.com/b");
    let mut by_pattern = listen(&hub, "match_urlpattern=https://example.com/users/:id");
    publish(
        &hub,
        "topic=https://example.com/a&topic=https://example.com/b&topic=https://example.com/users/1&data=one",
    );
    publish(&hub, "topic=the-end&data=end");
    assert_eq!((both.next().data, both.next().data), ("one".to_owned(), "end".to_owned()));
    assert_eq!(second.next().data, "one");
    assert_eq!(by_pattern.next().data, "one");
}

#[test]
fn a_form_of_another_site_is_refused() {
    let hub = Hub::alone(&["--open", "--mercure", "--mercure-url", URL]);
    let (own, authority) = (format!("http://{}", hub.address()), hub.address().to_string());
    let from = |headers: &[(&str, &str)], body: &str| {
        let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let mut connection = hub.connect();
        connection.send(format!(
            "POST {PATH} HTTP/1.1\r\nHost: {authority}\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        connection.response("POST").status
    };
    let form = ("Content-Type", FORM);
    for foreign in [
        &[form, ("Origin", "https://evil.example")][..],
        &[form, ("Origin", "null")],
        &[form, ("Sec-Fetch-Site", "cross-site")],
        &[form, ("Sec-Fetch-Site", "same-site")],
        // What a page sends without a type may be a form too.
        &[("Origin", "https://evil.example")],
        &[form, ("Origin", "https://evil.example"), ("Cookie", "mercureAuthorization=x")],
    ] {
        assert_eq!(from(foreign, "topic=a&data=x"), 403, "{foreign:?}");
    }
    let refused = hub.metrics().labelled("fanfare_refused_total", "\"foreign_origin\"");
    assert_eq!(refused, 6.0);
    for ours in [&[form][..], &[form, ("Origin", &own)], &[form, ("Sec-Fetch-Site", "none")]] {
        assert_eq!(from(ours, "topic=a&data=x"), 200, "{ours:?}");
    }
    assert_eq!(hub.metrics().exact("fanfare_publishes_total"), 3);
}
