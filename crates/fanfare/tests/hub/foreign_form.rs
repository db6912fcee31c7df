//! `POST /sse/topics/NAME` publishes the body as it is, by hand and by nobody else: a form of another
//! site, which a browser sends without asking, is refused on every kind of hub.

use serde_json::json;

use crate::support::{Hub, Response};

/// What curl sends with `-d`.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn post(hub: &Hub, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = [&[FORM], headers].concat();
    hub.connect().request("POST", path, &headers, body.as_bytes())
}

#[test]
fn a_body_is_text_whatever_its_content_type() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().query("topic=**&envelope=json").open();
    for (path, topic, body) in [
        ("/sse/topics/alerts", "alerts", "hi"),
        ("/sse/topics/alerts", "alerts", "a=1&b=%20+"),
        ("/sse/topics/alerts", "alerts", "{\"message\": \"not looked into\"}"),
        ("/sse/topics/orders/7/paid", "orders/7/paid", "two\nlines\n"),
        ("/sse/topics/orders%2F7", "orders/7", ""),
        ("/sse/topics/caf%C3%A9+1%2525", "café+1%25", "é"),
    ] {
        let response = post(&hub, path, &[], body);
        assert_eq!((response.status, &response.json()["status"]), (200, &json!("message sent")));
        let event = subscriber.next();
        assert_eq!(response.json()["id"], *event.id);
        let envelope: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!((&envelope["topic"], &envelope["message"]), (&json!(topic), &json!(body)));
    }
}

#[test]
fn headers_give_type_and_key() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=jobs");
    let headers = [("X-Event", "job.done"), ("Idempotency-Key", "one")];
    let first = post(&hub, "/sse/topics/jobs", &headers, "17").json();
    assert_eq!(post(&hub, "/sse/topics/jobs", &headers, "17").json(), first);
    assert_eq!(post(&hub, "/sse/topics/jobs", &headers, "18").status, 422, "another content");
    post(&hub, "/sse/topics/jobs", &[], "last");
    let event = subscriber.next();
    assert_eq!((event.kind.as_deref(), &*event.data), (Some("job.done"), "17"));
    assert_eq!(subscriber.next().data, "last");
}

#[test]
fn a_bad_topic_type_or_text_is_refused_by_name() {
    let hub = Hub::alone(&["--max-message", "10"]);
    for (path, headers, body, status, place) in [
        ("/sse/topics/a/*", &[][..], "x", 422, json!(["path", "topic"])),
        ("/sse/topics/%ff", &[], "x", 422, json!(["path", "topic"])),
        ("/sse/topics/a%0Ab", &[], "x", 422, json!(["path", "topic"])),
        ("/sse/topics/a", &[("X-Event", "fanfare.gap")], "x", 422, json!(["header", "x-event"])),
        (
            "/sse/topics/a",
            &[("X-Event", "a"), ("X-Event", "b")],
            "x",
            422,
            json!(["header", "x-event"]),
        ),
        ("/sse/topics/a", &[], "eleven byte", 413, json!(null)),
    ] {
        let response = post(&hub, path, headers, body);
        assert_eq!(response.status, status, "{path}: {response:?}");
        if status == 422 {
            assert_eq!(response.json()["detail"][0]["loc"], place, "{path}: {response:?}");
        }
    }
    let response = hub.connect().request("POST", "/sse/topics/a", &[FORM], b"\xff");
    assert_eq!(response.json(), json!({ "detail": "There was an error parsing the body" }));
    assert_eq!(response.status, 400);
    assert_eq!(hub.get("/sse/topics/a").status, 405);
    assert_eq!(hub.request("POST", "/sse/topics/", &[]).status, 404);
    assert_eq!(hub.metrics().exact("fanfare_publishes_total"), 0);
}

#[test]
fn text_needs_credentials_and_has_a_limit() {
    let hub = Hub::alone(&[
        "--publish-key",
        "the-key-to-publish",
        "--subscribe-key",
        "the-key-to-listen",
    ]);
    let with = |key: &str| {
        post(&hub, "/sse/topics/a", &[("Authorization", &format!("Bearer {key}"))], "x").status
    };
    assert_eq!(post(&hub, "/sse/topics/a", &[], "x").status, 401);
    assert_eq!((with("wrong"), with("the-key-to-listen")), (401, 403));
    assert_eq!(with("the-key-to-publish"), 200);

    let hub = Hub::alone(&["--publish-rate", "1"]);
    let answers: Vec<_> = (0..20).map(|_| post(&hub, "/sse/topics/a", &[], "x").status).collect();
    assert!(answers.contains(&200) && answers.contains(&429), "{answers:?}");
}

#[test]
fn a_form_of_another_site_is_refused() {
    let key = ["--publish-key", "the-key-to-publish", "--cookie-name", "key"];
    for (setting, cookie) in
        [(&["--dev"][..], None), (&["--open"], None), (&key, Some("key=the-key-to-publish"))]
    {
        let hub = Hub::alone(setting);
        let host = format!("http://{}", hub.address());
        let authority = hub.address().to_string();
        let from = |lines: &[(&str, &str)]| {
            let cookie = cookie.map(|cookie| ("Cookie", cookie));
            let mut connection = hub.connect();
            let lines: String = cookie
                .iter()
                .chain(lines)
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            connection.send(format!(
                "POST /sse/topics/a HTTP/1.1\r\nHost: {authority}\r\n{lines}Content-Type: text/plain\r\n\
                 Content-Length: 2\r\n\r\nhi"
            ));
            connection.response("POST").status
        };
        for foreign in [
            &[("Origin", "https://evil.example")][..],
            &[("Origin", "null")],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Sec-Fetch-Site", "same-site")],
            &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
        ] {
            assert_eq!(from(foreign), 403, "{setting:?} {foreign:?}");
        }
        assert_eq!(from(&[("Origin", &host)]), 200, "{setting:?}");
        assert_eq!(from(&[("Origin", &host), ("Sec-Fetch-Site", "same-origin")]), 200);
        assert_eq!(hub.metrics().exact("fanfare_publishes_total"), 2, "{setting:?}");
    }
}
