//! An application that moves from the protocol's own hub sends what its library sends, and is refused or misunderstood.
//! These are the requests of `symfony/mercure` (0.6 and 0.7), field by field and in its order. Other libraries are run
//! themselves, by `tests/clients`.

use serde_json::{Value, json};

use super::{FORM, PATH, asking, guarded_hub, sign};
use crate::support::issuer::now;
use crate::support::{Hub, Response};

const BOOK: &str = "https://example.com/books/1";

/// What its factory signs: rights before all else, and an end an hour away.
fn token(rights: &Value) -> String {
    sign(Some("JWT"), &json!({"mercure": rights, "exp": now() + 3600.0}))
}

/// What its HTTP client sends for a form.
fn publish(hub: &Hub, token: &str, form: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Content-Type", FORM),
        ("Authorization", &*bearer),
        ("Accept", "*/*"),
        ("User-Agent", "Symfony HttpClient (Curl)"),
        ("Accept-Encoding", "gzip"),
    ];
    hub.connect().request("POST", PATH, &headers, form.as_bytes())
}

fn publisher() -> String {
    token(&json!({"publish": ["*"], "subscribe": []}))
}

#[test]
fn what_the_sdk_publishes_arrives_as_sent() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let cookie =
        format!("mercureAuthorization={}", token(&json!({"publish": [], "subscribe": [BOOK]})));
    let mut heard = asking(&hub, "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1")
        .header("Cookie", &cookie)
        .header("Sec-Fetch-Site", "same-site")
        .open();
    // An update of one topic, as PHP's `urlencode` writes it.
    let form =
        "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=%7B%22status%22%3A+%22Out+of+stock%22%7D";
    let answer = publish(&hub, &publisher(), form);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    let event = heard.next();
    assert_eq!((&*event.data, event.id), (r#"{"status": "Out of stock"}"#, answer.text()));
    // An update with everything that one can have; what is null is not there.
    let form = "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&topic=https%3A%2F%2Fexample.com%2Fusers%2F1\
        &data=&private=on&id=urn%3Auuid%3A1&type=changed&retry=2500";
    let answer = publish(&hub, &publisher(), form);
    assert_eq!((answer.status, answer.text()), (200, "urn:uuid:1".to_owned()));
    let event = heard.next();
    assert_eq!(
        (event.kind.as_deref(), &*event.data, &*event.id),
        (Some("changed"), "", "urn:uuid:1")
    );
    assert_eq!(heard.retries.last(), Some(&2500));
}

#[test]
fn what_its_pages_subscribe_by_is_accepted() {
    let hub = guarded_hub(&["--allow-origin", "https://app.example.com"]);
    let first =
        publish(&hub, &publisher(), "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=0").text();
    publish(&hub, &publisher(), "topic=https%3A%2F%2Fexample.com%2Fbooks%2F2&data=1&private=on");
    let last = first.replace('#', "%23");
    // The address that its Twig extension writes: the cursor twice, under the names of two earlier versions.
    let query = format!(
        "topic=https%3A%2F%2Fexample.com%2Fbooks%2F%7Bid%7D&lastEventID={last}&Last-Event-ID={last}"
    );
    let rights = json!({"publish": [], "subscribe": ["https://example.com/books/{id}"]});
    let cookie = format!("mercureAuthorization={}", token(&rights));
    let mut heard = asking(&hub, &query)
        .header("Cookie", &cookie)
        .header("Origin", "https://app.example.com")
        .open();
    assert_eq!(heard.head.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(heard.head.header("mercure-last-event-id"), Some(&*first));
    assert_eq!(heard.next().data, "1");
    // A cookie that it has cleared is one with nothing in it.
    let (answer, _) = asking(&hub, &query)
        .header("Cookie", "mercureAuthorization=")
        .header("Origin", "https://app.example.com")
        .ask();
    assert_eq!(answer.status, 401);
}

#[test]
fn what_it_is_refused_shows_as_a_failure() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let narrow = token(&json!({"publish": ["https://example.com/users/{id}"], "subscribe": []}));
    for (token, form, status) in [
        (narrow, "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=0", 403),
        (
            token(&json!({"subscribe": ["*"]})),
            "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=0",
            403,
        ),
        (format!("{}x", publisher()), "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=0", 401),
        (publisher(), "data=0", 400),
    ] {
        assert_eq!(publish(&hub, &token, form).status, status, "{form}");
    }
}
