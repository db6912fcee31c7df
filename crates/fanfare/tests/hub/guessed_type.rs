//! A browser takes an answer for what it says it is, and not for what it looks like.

use crate::over_http1_and_http2;
use crate::support::{Http, Hub, Response};

fn assert_not_to_be_guessed(response: &Response) {
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{response:?}");
}

#[test]
fn no_answer_is_taken_for_a_script() {
    let hub = Hub::alone(&[]);
    for (method, path) in [
        ("GET", "/sse/"),
        ("GET", "/sse/assets/page.js"),
        ("GET", "/sse/console"),
        ("GET", "/sse/subscribers"),
        ("GET", "/sse/send"),
        ("GET", "/sse/events?envelope=xml"),
        ("HEAD", "/sse/events"),
        ("POST", "/sse/send"),
        ("GET", "/sse"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/nope"),
    ] {
        assert_not_to_be_guessed(&hub.request(method, path, &[]));
    }
    assert_not_to_be_guessed(&hub.get(&format!("/{}", "x".repeat(16_384))));
    assert_not_to_be_guessed(&hub.publisher().post_json(r#"{"message": "a"}"#));
    assert_not_to_be_guessed(&hub.request(
        "GET",
        "/healthz",
        &[("Origin", "https://evil.example")],
    ));
}

fn a_stream_is_taken_for_a_script(http: Http) {
    let hub = Hub::alone(&[]);
    let (head, _stream) = hub.subscription().over(http).ask();
    assert_eq!(head.status, 200, "{head:?}");
    assert_not_to_be_guessed(&head);
}

over_http1_and_http2!(a_stream_is_taken_for_a_script);
