//! Nobody publishes or hears more than was granted, and a refusal says nothing about topics.

use serde_json::{Value, json};

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Hub, Response};

fn hub() -> Hub {
    Hub::start(&["--jwt-secret", SECRET])
}

fn holder(rights: &Value) -> String {
    bearer(&token(&claims("ada", 3600.0, rights)))
}

#[test]
fn a_pattern_that_almost_fits_is_refused() {
    let hub = hub();
    let ada = holder(&json!({"subscribe": ["orders/*/lines", "chat/**", "news"]}));
    let ask = |query: &str| hub.subscription().query(query).header("Authorization", &ada).ask().0;
    for query in [
        "topic=orders/1/lines",
        "topic=orders/*/lines",
        "topic=chat&topic=chat/*/a&topic=chat/**",
        "topic=news",
        "topic=chat/**/a/**",
    ] {
        assert_eq!(ask(query).status, 200, "{query}");
    }
    for query in [
        "",
        "topic=orders/1",
        "topic=orders/**",
        "topic=orders/*/*",
        "topic=*/1/lines",
        "topic=orders/**/lines",
        "topic=news/*",
        "topic=news&topic=other",
        "topic=*",
        "topic=**",
        "topic=chats/1",
    ] {
        let response = ask(query);
        assert_eq!(response.status, 403, "{query}: {response:?}");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_refusal_hides_whether_a_topic_exists() {
    let hub = hub();
    let everyone = holder(&json!({"publish": ["**"], "subscribe": ["**"]}));
    let ada = holder(&json!({"publish": ["ada/*"], "subscribe": ["ada/*"]}));
    let headers = [("Authorization", &*everyone), ("Content-Type", "application/json")];
    let send = r#"{"topic": "there", "message": "a"}"#;
    assert_eq!(hub.publisher().post(&headers, send).status, 200);
    let seen = |response: &Response| {
        let challenge = response.header("www-authenticate").unwrap().to_owned();
        (response.status, challenge, response.text())
    };
    let refusals = ["there", "not-there"].map(|topic| {
        let path = format!("/sse/events?topic={topic}");
        let listening = hub.request("GET", &path, &[("Authorization", &ada)]);
        let headers = [("Authorization", &*ada), ("Content-Type", "application/json")];
        let body = json!({"topic": topic, "message": "a"}).to_string();
        let publishing = hub.publisher().post(&headers, body);
        assert_eq!((listening.status, publishing.status), (403, 403));
        assert!(!listening.text().contains(topic) && !publishing.text().contains(topic));
        (seen(&listening), seen(&publishing))
    });
    assert_eq!(refusals[0], refusals[1]);
}

#[test]
fn no_batch_is_accepted_in_part() {
    let hub = hub();
    let ada = holder(&json!({"publish": ["ada/*"], "subscribe": ["**"]}));
    let mut subscriber = hub.subscription().query("topic=**").header("Authorization", &ada).open();
    let headers = [("Authorization", &*ada), ("Content-Type", "application/x-ndjson")];
    let lines = |topics: &[&str]| {
        let lines = topics.iter().map(|t| json!({"topic": t, "message": *t}).to_string());
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut publisher = hub.publisher();
    assert_eq!(publisher.post(&headers, lines(&["ada/1", "bob/1", "ada/2"])).status, 403);
    assert_eq!(publisher.post(&headers, lines(&["ada/3", "ada/4"])).status, 200);
    assert_eq!(subscriber.messages(2), ["ada/3", "ada/4"]);
}

#[test]
fn no_body_is_read_for_who_may_not_publish() {
    let hub = hub();
    let listener = holder(&json!({"subscribe": ["**"]}));
    let mut connection = hub.connect();
    // The body never comes, and is not waited for.
    connection.send(format!(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nAuthorization: {listener}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    ));
    assert_eq!(connection.response("POST").status, 403);
}

#[test]
fn only_an_administrator_cuts_streams() {
    let hub = hub();
    let ada = holder(&json!({"publish": ["**"], "subscribe": ["**"]}));
    let path = "/sse/subscribers?subject=ada";
    assert_eq!(hub.request("DELETE", path, &[("Authorization", &ada)]).status, 403);
    assert_eq!(hub.request("DELETE", path, &[]).status, 401);
}
