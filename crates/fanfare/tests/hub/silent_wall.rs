//! A page of another origin meets a wall that says nothing: neither the answer nor the log names what
//! would let it in.

use crate::support::Hub;

const DEVELOPMENT: [&str; 4] = [
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "https://app.localhost",
    "http://[::1]:8080",
];

#[test]
fn a_refusal_names_the_flag_that_cures_it() {
    let hub = Hub::alone(&["--log-level", "warn"]);
    for _ in 0..3 {
        let origin = [("Origin", "http://localhost:5173")];
        let refused = hub.request("GET", "/sse/events", &origin);
        assert_eq!(refused.status, 403);
        let said = refused.json()["detail"].to_string();
        assert!(said.contains("--allow-origin http://localhost:5173"), "{said}");
        assert!(said.contains("--dev"), "{said}");
        let refused = hub.request("GET", "/sse/events", &[("Host", "hub.example")]);
        let said = refused.json()["detail"].to_string();
        assert!(said.contains("--allow-host"), "{said}");
    }
    hub.await_log("--allow-host");
    for flag in ["--allow-origin http://localhost:5173", "--allow-host"] {
        assert_eq!(hub.logged().matches(flag).count(), 1, "{}", hub.logged());
    }
}

#[test]
fn a_refused_origin_is_logged_once() {
    let hub = Hub::alone(&["--open", "--log-level", "warn"]);
    for _ in 0..2 {
        hub.request("GET", "/sse/events?topic=a*", &[("Origin", "https://app.example")]);
    }
    hub.await_log("--allow-origin https://app.example");
    assert_eq!(hub.logged().matches("https://app.example").count(), 1, "{}", hub.logged());
}

#[test]
fn dev_admits_this_machines_pages_only() {
    let hub = Hub::alone(&["--dev"]);
    let ask = |origin| hub.request("GET", "/sse/events?topic=a*", &[("Origin", origin)]);
    for origin in DEVELOPMENT {
        let response = ask(origin);
        assert_eq!(response.status, 422, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), Some(origin));
    }
    for origin in ["https://evil.example", "http://localhost.evil.example", "null"] {
        let response = ask(origin);
        assert_eq!(response.status, 403, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
}
