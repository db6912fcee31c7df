//! Whoever guesses keys is slowed; whoever has one is not, wherever they are.

use crate::support::issuer::bearer;
use crate::support::{Connection, Http, Hub, Unread};

const KEY: &str = "the-key-that-is-guessed-at";

fn publish(connection: &mut Connection, key: &str) -> crate::support::Response {
    let headers = [("Authorization", &*bearer(key)), ("Content-Type", "application/json")];
    connection.request("POST", "/sse/send", &headers, br#"{"message": "a"}"#)
}

#[test]
fn guesses_are_slowed_and_the_holder_is_not() {
    let hub = Hub::alone(&["--publish-key", KEY, "--failure-rate", "5"]);
    // Guesses from more connections than may be held.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guess = |n: usize| publish(&mut hub.connect(), &format!("guess-number-{n:08}")).status;
        let guessers: Vec<_> = (0..100).map(|n| scope.spawn(move || guess(n))).collect();
        // Meanwhile, from the same address:
        for _ in 0..100 {
            assert_eq!(publish(&mut hub.connect(), KEY).status, 200, "the holder is kept out");
        }
        guessers.into_iter().map(|guesser| guesser.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    let slowed = statuses.iter().filter(|&&status| status == 429).count();
    assert!(slowed >= 50, "{slowed}");
    let answer = publish(&mut hub.connect(), KEY);
    assert_eq!(answer.status, 200);
    let refused = hub.metrics().labelled("fanfare_refused_total", "\"credential_rate\"");
    assert_eq!(refused, slowed as f64);
}

#[test]
fn a_short_key_is_refused() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        // Files that are not there end it where the key is accepted.
        .args([
            "--publish-key",
            "x",
            "--tls-cert",
            "/does/not/exist",
            "--tls-key",
            "/does/not/exist",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("at least 16 bytes") && said.contains("openssl rand -hex 32"), "{said}");
}

/// Guesses over HTTP/2, as many at once as four connections carry, until one of those is closed.
fn guess_until_a_connection_ends(hub: &Hub, header: (&str, &str), path: &str) {
    let asked = 4 * 250;
    let mut rounds = 0..20;
    let ended = rounds.any(|_| {
        let answered = Unread::saying(header, hub.address(), 4, 250, path).answered;
        assert!(answered > 0, "nobody is answered");
        answered < asked
    });
    assert!(ended, "twenty thousand guesses were answered");
    assert!(hub.metrics().labelled("fanfare_refused_total", "\"credential_rate\"") >= 512.0);
}

#[test]
fn guesses_over_http2_are_slowed() {
    let hub = Hub::alone(&["--subscribe-key", KEY, "--failure-rate", "5"]);
    let guess = bearer("a-guess-that-is-wrong");
    guess_until_a_connection_ends(&hub, ("authorization", &guess), "/sse/events");
    let listening = hub.subscription().header("Authorization", &bearer(KEY)).over(Http::Two).ask();
    assert_eq!(listening.0.status, 200, "the holder is kept out");
}

#[test]
fn false_tickets_are_slowed() {
    let hub = Hub::alone(&["--subscribe-key", KEY, "--failure-rate", "5"]);
    let path = format!("/sse/events?ticket={}", "A".repeat(43));
    guess_until_a_connection_ends(&hub, ("accept", "*/*"), &path);
    let drawn = hub.request("POST", "/sse/ticket", &[("Authorization", &bearer(KEY))]).json();
    let good = format!("ticket={}", drawn["ticket"].as_str().unwrap());
    assert_eq!(hub.subscription().query(&good).ask().0.status, 200, "a good one is kept out");
}
