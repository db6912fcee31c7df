//! What carries a credential by itself, a cookie or an address, is good only where it was meant.

use serde_json::json;

use crate::support::issuer::{SECRET, bearer, claims, good_claims, token};
use crate::support::{Hub, Response};

const OURS: &str = "https://app.example";

fn ticket(hub: &Hub, token: &str) -> String {
    let response = hub.request("POST", "/sse/ticket", &[("Authorization", &bearer(token))]);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let answer = response.json();
    assert_eq!(answer["expires_in"], 30, "{answer}");
    answer["ticket"].as_str().unwrap().to_owned()
}

#[test]
fn a_ticket_is_good_once() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let ada = token(&claims("ada", 3600.0, &json!({"publish": ["**"], "subscribe": ["chat"]})));
    let ticket = ticket(&hub, &ada);
    let ask = |query: &str| hub.subscription().query(query).ask();
    let query = format!("topic=chat&ticket={ticket}");
    let (head, _stream) = ask(&query);
    assert_eq!(head.status, 200);
    let (again, _) = ask(&query);
    assert_eq!(again.status, 401);
    assert!(again.header("www-authenticate").is_some());
    assert_eq!(ask("topic=chat&ticket=junk").0.status, 401);

    let logged = hub.logged();
    assert!(!logged.contains(&ticket) && !logged.contains(&ada), "{logged}");
    let labels: Vec<_> = hub.metrics().labels().map(str::to_owned).collect();
    assert!(labels.iter().all(|label| !label.contains("ada")), "{labels:?}");
}

#[test]
fn a_ticket_is_good_for_one_stream_only() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let rights = json!({"publish": ["**"], "subscribe": ["chat"], "admin": true});
    let ada = token(&claims("ada", 3600.0, &rights));
    let refused = hub.subscription().query(&format!("topic=other&ticket={}", ticket(&hub, &ada)));
    assert_eq!(refused.ask().0.status, 403);
    let ticket = ticket(&hub, &ada);
    let path = |path: &str| format!("/sse/{path}ticket={ticket}");
    assert_eq!(hub.request("POST", &path("send?"), &[]).status, 401);
    assert_eq!(hub.request("POST", &path("ticket?"), &[]).status, 401);
    assert_eq!(hub.request("DELETE", &path("subscribers?subject=ada&"), &[]).status, 401);
    let (head, _stream) = hub.subscription().query(&format!("topic=chat&ticket={ticket}")).ask();
    assert_eq!(head.status, 200, "none of these has used it up");
    assert_eq!(hub.request("POST", "/sse/ticket", &[]).status, 401);
}

#[test]
fn only_an_administrators_ticket_opens_the_console() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let ticket_with = |admin: bool| {
        let rights = json!({"publish": [], "subscribe": ["**"], "admin": admin});
        ticket(&hub, &token(&claims("ada", 3600.0, &rights)))
    };
    let ask = |ticket: &str| {
        let console = hub.subscription().prefix("/sse/console");
        console.query(&format!("last_event_id=earliest&ticket={ticket}")).ask()
    };
    assert_eq!(ask("").0.status, 401);
    assert_eq!(ask(&ticket_with(false)).0.status, 403);
    let ticket = ticket_with(true);
    let list = hub.request("GET", &format!("/sse/subscribers?ticket={ticket}"), &[]);
    assert_eq!(list.status, 401);
    let (head, _stream) = ask(&ticket);
    assert_eq!(head.status, 200);
    assert_eq!(ask(&ticket).0.status, 401);
}

fn with_cookie(hub: &Hub, method: &str, headers: &[(&str, &str)]) -> Response {
    let cookie = format!("theme=dark; fanfare={}; x=1", token(&good_claims()));
    let mut all = vec![("Cookie", &*cookie), ("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    match method {
        "POST" => hub.publisher().post(&all, r#"{"message": "a"}"#),
        _ => all.iter().fold(hub.subscription(), |s, (n, v)| s.header(n, v)).ask().0,
    }
}

#[test]
fn no_cookie_counts_for_another_site() {
    let hub = Hub::start(&["--jwt-secret", SECRET, "--allow-origin", OURS]);
    for headers in [
        &[("Origin", "http://hub.test")][..],
        &[("Origin", OURS)],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://hub.test")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", OURS)],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", OURS)],
    ] {
        for method in ["GET", "POST"] {
            assert_eq!(with_cookie(&hub, method, headers).status, 200, "{method} {headers:?}");
        }
    }
    for headers in [
        &[("Origin", "https://evil.example")][..],
        &[("Origin", "null")],
        &[("Origin", "http://hub.test:81")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
    ] {
        for method in ["GET", "POST"] {
            assert_eq!(with_cookie(&hub, method, headers).status, 401, "{method} {headers:?}");
        }
    }
    assert_eq!(with_cookie(&hub, "GET", &[]).status, 200);
    assert_eq!(with_cookie(&hub, "POST", &[]).status, 401, "it may come from anywhere");
    // A page of a sibling cannot read what a GET brings, but a form is sent unasked.
    for sibling in [
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://www.hub.test")][..],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "null")],
        &[("Sec-Fetch-Site", "same-site")],
    ] {
        assert_eq!(with_cookie(&hub, "GET", sibling).status, 200, "{sibling:?}");
        assert_eq!(with_cookie(&hub, "POST", sibling).status, 401, "{sibling:?}");
    }
}

#[test]
fn a_ticket_goes_before_a_cookie() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let ada = token(&good_claims());
    let stale = format!("fanfare={}", token(&claims("ada", -60.0, &json!({"subscribe": ["**"]}))));
    let good = format!("fanfare={ada}");
    let query = format!("topic=chat&ticket={}", ticket(&hub, &ada));
    let ask = |cookie: &str| hub.subscription().query(&query).header("Cookie", cookie).ask();
    let (head, _stream) = ask(&stale);
    assert_eq!(head.status, 200);
    // An EventSource that comes back repeats its address.
    let (head, _stream) = ask(&good);
    assert_eq!(head.status, 200, "the ticket has been used, the cookie is good");
    assert_eq!(ask(&stale).0.status, 401);
}

#[test]
fn a_cookie_of_another_name_is_ignored() {
    let hub = Hub::start(&["--jwt-secret", SECRET, "--cookie-name", "session"]);
    let same_site = [("Sec-Fetch-Site", "same-origin")];
    assert_eq!(with_cookie(&hub, "GET", &same_site).status, 401);
    let cookie = format!("session=\"{}\"", token(&good_claims()));
    let named = hub.subscription().header("Cookie", &cookie);
    assert_eq!(named.header("Sec-Fetch-Site", "same-origin").ask().0.status, 200);
}
