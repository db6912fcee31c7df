//! Who was let in to do what, and who was refused, is written down: in lines of a stable form, without a
//! secret, and never as many as there are requests.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::issuer::{SECRET, bearer, claims, good_claims, token};

const KEY: &str = "the-key-of-whoever-publishes";

fn trail(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_an_auditor_asks_for_is_written_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let arguments = ["--jwt-secret", SECRET, "--publish-key", KEY, "--audit-log"];
    let hub = Hub::alone(&[&arguments[..], &[path.to_str().unwrap()]].concat());
    let admin = token(&claims("root", 600.0, &json!({"admin": true})));
    let ada = token(&good_claims());
    let with = |credential: &str, method: &str, path: &str| {
        hub.request(method, path, &[("Authorization", &bearer(credential))])
    };
    assert_eq!(with("a-guess-that-is-wrong", "GET", "/sse/events").status, 401);
    let expired = token(&claims("late", -60.0, &json!({"subscribe": ["**"]})));
    assert_eq!(with(&expired, "GET", "/sse/events").status, 401);
    assert_eq!(with(&ada, "DELETE", "/sse/subscribers?subject=x").status, 403);
    assert_eq!(with(KEY, "GET", "/sse/events").status, 403);
    let drawn = with(&ada, "POST", "/sse/ticket");
    assert_eq!(with(&admin, "DELETE", "/sse/subscribers?subject=ada%0Alevel=x").status, 200);

    let lines = trail(&path);
    let find = |action: &str| {
        let found: Vec<_> = lines.iter().filter(|line| line["action"] == action).collect();
        assert!(!found.is_empty(), "{action} is missing: {lines:#?}");
        found
    };
    let failed = find("login_failed");
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!(failed[0]["from"], "127.0.0.1");
    assert_eq!(failed[0]["reason"], "unauthenticated");
    assert_eq!(failed[1]["why"], "the token has expired");
    let refused = find("refused");
    assert_eq!(refused[0]["reason"], "forbidden");
    assert_eq!(refused[0]["who"], "subject:ada");
    assert!(refused[1]["who"].as_str().unwrap().starts_with("key:"), "{refused:?}");
    assert_eq!(find("ticket_drawn")[0]["who"], "subject:ada");
    let cut = find("subject_cut")[0];
    assert_eq!((&cut["who"], &cut["from"]), (&json!("subject:root"), &json!("127.0.0.1")));
    assert_eq!(cut["subject"], r"ada\nlevel=x");

    let all = std::fs::read_to_string(&path).unwrap() + &hub.logged();
    let ticket = drawn.json()["ticket"].as_str().unwrap().to_owned();
    for secret in [KEY, SECRET, &admin, &ada, &expired, &ticket, "a-guess-that-is-wrong"] {
        assert!(!all.contains(secret), "{secret} was written down");
    }
    assert!(!hub.logged().contains("login_failed"), "it has a file of its own");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // A file that is moved away is made anew.
    std::fs::rename(&path, directory.path().join("audit.log.1")).unwrap();
    assert_eq!(with("another-guess-that-is-wrong", "GET", "/sse/events").status, 401);
    assert_eq!(trail(&path).len(), 1);
}

#[test]
fn a_flood_of_guesses_leaves_few_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let hub = Hub::alone(&["--publish-key", KEY, "--audit-log", path.to_str().unwrap()]);
    let mut connection = hub.connect();
    let begun = std::time::Instant::now();
    let headers = [("Authorization", "Bearer a-guess-that-is-wrong")];
    for _ in 0..500 {
        connection.request("POST", "/sse/ticket", &headers, b"");
    }
    // Twenty a second, and a second that has begun and one that has not ended.
    let most = 20 * (begun.elapsed().as_secs() + 2);
    let written = trail(&path).len() as u64;
    assert!((1..=most).contains(&written), "{written} lines");
}

#[test]
fn an_unwritable_trail_stops_the_start() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args([
            "--audit-log",
            "/does/not/exist/audit.log",
            "--tls-cert",
            "/none",
            "--tls-key",
            "/none",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--audit-log"), "{said}");
}

#[test]
fn a_security_contact_is_served_where_set() {
    assert_eq!(Hub::start(&[]).get("/.well-known/security.txt").status, 404);
    let contact = ["--security-contact", "mailto:security@example.com"];
    let answer = Hub::start(&contact).get("/.well-known/security.txt");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = answer.text();
    assert!(text.starts_with("Contact: mailto:security@example.com\r\nExpires: 20"), "{text}");
}
