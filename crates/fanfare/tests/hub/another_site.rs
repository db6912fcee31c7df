//! A page of another site may not use a hub that trusts everyone on its machine, by whatever name
//! it reaches it.

use crate::support::{Hub, Response, Setup};

fn publish(hub: &Hub, host: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = hub.connect();
    let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    connection.send(format!(
        "POST /sse/send HTTP/1.1\r\n{host}{lines}Content-Type: application/json\r\n\
         Content-Length: 16\r\n\r\n{{\"message\": \"a\"}}"
    ));
    connection.response("POST")
}

fn refused(hub: &Hub, reason: &str) -> f64 {
    hub.metrics().labelled("fanfare_refused_total", &format!("\"{reason}\""))
}

#[test]
fn only_our_own_host_names_are_accepted() {
    let hub = Hub::alone(&[]);
    for host in [
        "Host: 127.0.0.1\r\n",
        "Host: localhost:8000\r\n",
        "Host: [::1]:1\r\n",
        "Host: hub.test\r\n",
    ] {
        assert_eq!(publish(&hub, host, &[]).status, 200, "{host}");
    }
    let foreign =
        ["evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "0.0.0.0"];
    for host in foreign {
        let response = publish(&hub, &format!("Host: {host}\r\n"), &[]);
        assert_eq!(response.status, 403, "{host}");
        assert!(response.json()["detail"].is_string(), "{response:?}");
    }
    assert_eq!(refused(&hub, "foreign_host"), foreign.len() as f64);
    // The page and the metrics are no other site's business either.
    for path in ["/sse/", "/metrics", "/sse/events"] {
        let mut connection = hub.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
        assert_eq!(connection.response("GET").status, 403, "{path}");
        connection = hub.connect();
        connection
            .send(format!("GET http://evil.example{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(connection.response("GET").status, 403, "{path}");
    }
    // Clients of HTTP/1.0 name no host, and no browser is one.
    let mut connection = hub.connect();
    connection.send("GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(connection.response("GET").status, 200);
}

#[test]
fn a_foreign_page_cannot_publish() {
    let hub = Hub::alone(&["--allow-origin", "https://app.example"]);
    let from =
        |origin: &str| publish(&hub, "Host: localhost:8000\r\n", &[("Origin", origin)]).status;
    assert_eq!(from("http://localhost:8000"), 200);
    assert_eq!(from("https://app.example"), 200);
    let foreign = [
        "https://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1:8000",
        "https://app.example.evil.example",
        "null",
        "junk",
    ];
    for origin in foreign {
        assert_eq!(from(origin), 403, "{origin}");
        let (head, _) = hub.subscription().header("Origin", origin).ask();
        assert_eq!(head.status, 403, "{origin}");
    }
    assert_eq!(refused(&hub, "foreign_origin"), 2.0 * foreign.len() as f64);
}

#[test]
fn a_hub_with_credentials_takes_its_allowed_hosts() {
    let hub = Hub::alone(&["--publish-key", "the-key-to-publish", "--allow-host", "app.example"]);
    let key =
        [("Authorization", "Bearer the-key-to-publish"), ("Origin", "https://elsewhere.example")];
    assert_eq!(publish(&hub, "Host: app.example\r\n", &key).status, 200);
    assert_eq!(publish(&hub, "Host: evil.example\r\n", &key).status, 403);
}

#[test]
fn a_site_cannot_reach_an_open_hub_by_its_own_name() {
    let allowed = |hosts: &[&str]| {
        let hosts = hosts.iter().flat_map(|host| ["--allow-host", *host]);
        Setup::new(&["--open"].into_iter().chain(hosts).collect::<Vec<_>>()).unnamed().start()
    };
    let hub = allowed(&[]);
    for host in ["127.0.0.1:8000", "10.0.0.7", "[fd00::1]:8000", "hub", "hub.local:8000"] {
        assert_eq!(publish(&hub, &format!("Host: {host}\r\n"), &[]).status, 200, "{host}");
    }
    for host in ["evil.example", "10.0.0.7.evil.example:8000"] {
        assert_eq!(publish(&hub, &format!("Host: {host}\r\n"), &[]).status, 403, "{host}");
    }
    let hub = allowed(&["events.example.com"]);
    assert_eq!(publish(&hub, "Host: events.example.com\r\n", &[]).status, 200);
    assert_eq!(publish(&hub, "Host: 10.0.0.7\r\n", &[]).status, 403);
}
