//! What is open is open because someone said so; everything else asks for credentials, and says
//! which before the first byte of a stream.

use std::process::{Command, Output};

use serde_json::json;

use crate::support::issuer::{SECRET, bearer, good_claims, token};
use crate::support::{Hub, Response};

/// Runs the program, which must refuse to start; what it says.
fn refusal(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FANFARE_") {
            command.env_remove(name);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } =
        command.current_dir(directory.path()).args(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{arguments:?} {stderr}");
    stderr
}

fn publish(hub: &Hub, headers: &[(&str, &str)]) -> Response {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    hub.publisher().post(&all, r#"{"message": "a"}"#)
}

fn subscribe(hub: &Hub, headers: &[(&str, &str)]) -> Response {
    let all = headers.iter().fold(hub.subscription(), |s, (n, v)| s.header(n, v));
    all.ask().0
}

fn assert_challenged(response: &Response, status: u16) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
}

#[test]
fn a_hub_on_the_network_needs_credentials() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = refusal(&["--listen", address]);
        for way_out in ["--publish-key", "--jwt-secret", "--open"] {
            assert!(said.contains(way_out), "{way_out} is not in {said}");
        }
    }
    refusal(&["--anonymous-subscribe", "news/*"]);
}

#[test]
fn no_mistaken_secret_is_printed() {
    for arguments in [
        ["--jwt-secret", "short-secret"],
        ["--publish-key", "short-secret"],
        ["--publish-key", "short-secret with a space"],
        ["--subscribe-key", "short-secret;"],
    ] {
        let said = refusal(&arguments);
        assert!(said.contains(arguments[0]) && !said.contains("short-secret"), "{said}");
    }
}

#[test]
fn no_credentials_are_needed_on_this_machine() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    hub.publisher().send("open");
    assert_eq!(subscriber.next().data, "open");
    // What a proxy may add means nothing here.
    assert_eq!(publish(&hub, &[("Authorization", "Bearer whatever")]).status, 200);
    let ticket = hub.request("POST", "/sse/ticket", &[("Host", "localhost")]);
    assert_eq!(ticket.status, 200, "a page for a hub that asks works on one that does not");
    let query = format!("ticket={}", ticket.json()["ticket"].as_str().unwrap());
    hub.subscribe(&query);
    let revoked = hub.request("DELETE", "/sse/subscribers?subject=ada", &[("Host", "localhost")]);
    // Nobody here has a name, so nobody has to go.
    assert_eq!((revoked.status, &revoked.json()["count"]), (200, &0.into()));
}

#[test]
fn a_key_for_one_right_gives_no_other() {
    let hub = Hub::start(&[
        "--publish-key",
        "publish-key-number-1",
        "--publish-key",
        "publish-key-number-2",
        "--subscribe-key",
        "the-key-to-subscribe",
    ]);
    for key in ["publish-key-number-1", "publish-key-number-2"] {
        assert_eq!(publish(&hub, &[("Authorization", &bearer(key))]).status, 200, "{key}");
    }
    assert_eq!(subscribe(&hub, &[("Authorization", &bearer("the-key-to-subscribe"))]).status, 200);
    assert_challenged(&publish(&hub, &[]), 401);
    assert_challenged(&subscribe(&hub, &[]), 401);
    assert_challenged(&publish(&hub, &[("Authorization", &bearer("publish-key-number-"))]), 401);
    assert_challenged(&publish(&hub, &[("Authorization", &bearer("the-key-to-subscribe"))]), 403);
    assert_challenged(&subscribe(&hub, &[("Authorization", &bearer("publish-key-number-1"))]), 403);
    assert_challenged(
        &publish(&hub, &[("Authorization", "Basic cHVibGlzaC1rZXktbnVtYmVyLTE=")]),
        401,
    );
    let head = hub.request("HEAD", "/sse/events", &[]);
    assert_eq!(head.status, 401);
    let metrics = hub.metrics();
    assert_eq!(metrics.labelled("fanfare_refused_total", "\"unauthenticated\""), 5.0);
    assert_eq!(metrics.labelled("fanfare_refused_total", "\"forbidden\""), 2.0);
    // The greeting shows where a key goes, and none.
    let logged = hub.logged().replace("Bearer $FANFARE_TOKEN", "");
    assert!(!logged.contains("publish-key-number") && !logged.contains("Bearer"), "{logged}");
}

#[test]
fn keys_in_a_file_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    std::fs::write(&file, "the-first-of-two\nthe-second-of-two\n").unwrap();
    let hub = Hub::start(&["--publish-key-file", file.to_str().unwrap()]);
    assert_eq!(publish(&hub, &[("Authorization", &bearer("the-second-of-two"))]).status, 200);
    assert_eq!(publish(&hub, &[("Authorization", &bearer("the-third-of-two"))]).status, 401);
}

#[test]
fn anonymous_listeners_hear_what_was_opened() {
    let hub =
        Hub::start(&["--publish-key", "the-key-to-publish", "--anonymous-subscribe", "news/**"]);
    let ask = |query: &str| hub.subscription().query(query).ask().0.status;
    assert_eq!(ask("topic=news/today&topic=news/*"), 200);
    for query in ["", "topic=chat", "topic=**", "topic=news/1&topic=chat", "topic=*/today"] {
        assert_eq!(ask(query), 401, "{query}");
    }
    // Whoever holds a key for something else may listen to it too.
    let key = hub
        .subscription()
        .query("topic=news")
        .header("Authorization", &bearer("the-key-to-publish"));
    assert_eq!(key.ask().0.status, 200);
}

#[test]
fn an_open_hub_still_checks_credentials() {
    let hub = Hub::start(&["--open", "--jwt-secret", SECRET]);
    assert_eq!(publish(&hub, &[]).status, 200);
    assert_eq!(subscribe(&hub, &[]).status, 200);
    assert_eq!(publish(&hub, &[("Authorization", &bearer(&token(&good_claims())))]).status, 200);
    assert_eq!(publish(&hub, &[("Authorization", "Bearer forged")]).status, 401);
    let nobody = json!({"exp": 1});
    assert_eq!(subscribe(&hub, &[("Authorization", &bearer(&token(&nobody)))]).status, 401);
}
