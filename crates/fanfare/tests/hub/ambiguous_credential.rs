//! A request that says twice who sent it says nothing: it is refused, not guessed at.

use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::support::Hub;
use crate::support::issuer::{SECRET, bearer, good_claims, now, sign_with_secret, token};

#[test]
fn two_credentials_are_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let good = bearer(&token(&good_claims()));
    for other in [&*good, "Bearer forged", "Basic YTpi", ""] {
        for pair in [[&*good, other], [other, &*good]] {
            let headers = pair.map(|value| ("Authorization", value));
            for (method, path) in
                [("POST", "/sse/send"), ("GET", "/sse/events"), ("POST", "/sse/ticket")]
            {
                let answer = hub.request(method, path, &headers);
                assert_eq!(answer.status, 400, "{method} {path} {pair:?}: {answer:?}");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.contains("invalid_request"), "{challenge}");
            }
        }
    }
}

#[test]
fn a_credential_that_is_no_text_is_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET, "--anonymous-subscribe", "**"]);
    let mut connection = hub.connect();
    connection
        .send(b"GET /sse/events HTTP/1.1\r\nHost: hub.test\r\nAuthorization: Bearer a\xff\r\n\r\n");
    assert_eq!(connection.response("GET").status, 401);
}

#[test]
fn an_empty_token_is_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET, "--anonymous-subscribe", "**"]);
    let cookie = format!("fanfare={}", token(&good_claims()));
    let ask = |line: &str, more: &[(&str, &str)]| {
        let headers = [&[("Authorization", line)], more].concat();
        let all = |subscription, (name, value): &(&str, &str)| {
            crate::support::Subscription::header(subscription, name, value)
        };
        headers.iter().fold(hub.subscription(), all).ask().0.status
    };
    let with_cookie = [("Cookie", &*cookie)];
    for line in ["Bearer", "bearer", "Bearer ", "Bearer\t", "Bearer\tx", "Bearer,x", "Bearer:x"] {
        assert_eq!(ask(line, &[]), 401, "{line:?}");
        assert_eq!(ask(line, &with_cookie), 401, "{line:?}: nor is it the cookie's");
    }
    // What a proxy in front of the hub asks for is not for the hub.
    for other in ["Basic YTpi", "Bearerx y", "DPoP x", ""] {
        assert_eq!(ask(other, &[]), 200, "{other:?}");
        assert_eq!(ask(other, &with_cookie), 200, "{other:?}");
    }
}

#[test]
fn two_issuers_are_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET, "--jwt-issuer", "https://ours.example"]);
    let ask = |issuer: serde_json::Value| {
        let claims = json!({
            "iss": issuer, "exp": now() + 600.0, "fanfare": {"publish": ["**"]},
        });
        let token = sign_with_secret(Algorithm::HS256, SECRET, &claims);
        let headers = [("Authorization", &*bearer(&token)), ("Content-Type", "application/json")];
        hub.publisher().post(&headers, r#"{"message": "a"}"#).status
    };
    assert_eq!(ask("https://ours.example".into()), 200);
    assert_eq!(ask(json!(["https://ours.example", "https://evil.example"])), 401);
    assert_eq!(ask(json!(["https://ours.example"])), 401);
    assert_eq!(ask("https://evil.example".into()), 401);
}
