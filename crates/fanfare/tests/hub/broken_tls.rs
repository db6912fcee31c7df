//! HTTPS obeys the same contract, and what cannot be HTTPS is answered plainly.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use serde_json::json;

use crate::support::{
    Files, Http, Hub, Identity, Metrics, Publisher, TEST_TIMEOUT, await_that, seq, trusting,
};

fn hub() -> (Hub, Arc<ClientConfig>) {
    let identity = Identity::generate();
    let files = Files::with(&identity);
    let arguments = files.arguments(&[]);
    let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    (hub, trusting(&identity))
}

fn publisher(hub: &Hub, trust: &Arc<ClientConfig>) -> Publisher {
    Publisher::over(hub.connect_securely(trust))
}

fn an_encrypted_stream_loses_or_reorders(http: Http) {
    let (hub, trust) = hub();
    let subscription = || hub.subscription().over(http).secure(&trust);
    let mut first = subscription().open();
    let mut publisher = publisher(&hub, &trust);
    let ids = publisher.count("default", 0..2_000);
    let numbers = |numbers: std::ops::Range<u64>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(first.messages(2_000), numbers(0..2_000));

    let mut resumed = subscription().after(&ids[999]).open();
    publisher.count("default", 2_000..2_010);
    assert_eq!(resumed.messages(1_010), numbers(1_000..2_010));
    assert_eq!(first.messages(10), numbers(2_000..2_010));
}

fn a_large_message_is_damaged_by_encryption(http: Http) {
    let (hub, trust) = hub();
    let mut subscriber = hub.subscription().over(http).secure(&trust).open();
    let mut publisher = publisher(&hub, &trust);
    let large: String = (0..100_000).map(|number| format!("{number} ")).collect();
    publisher.publish(&json!({ "message": large }));
    publisher.send("after");
    assert_eq!(subscriber.messages(2), [large.as_str(), "after"]);
}

fn a_shutdown_cuts_an_encrypted_stream_off(http: Http) {
    let (mut hub, trust) = hub();
    let mut subscriber = hub.subscription().over(http).secure(&trust).open();
    let id = publisher(&hub, &trust).send("last");
    // On a shared log it may be heard after its acknowledgement; a hub that stops before that never hears of it.
    await_that("it is heard", || {
        let metrics = hub.connect_securely(&trust).request("GET", "/metrics", &[], b"").text();
        Metrics::parse(&metrics).exact("fanfare_last_seq") == seq(&id)
    });
    hub.terminate();
    let events = subscriber.until_closed();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(hub.wait().success());
}

crate::over_http1_and_http2!(
    an_encrypted_stream_loses_or_reorders,
    a_large_message_is_damaged_by_encryption,
    a_shutdown_cuts_an_encrypted_stream_off,
);

#[test]
fn clear_text_is_answered_with_400() {
    let (hub, trust) = hub();
    let response = hub.get("/healthz");
    assert_eq!(response.status, 400, "{response:?}");
    assert_eq!(response.json()["detail"], "this port speaks HTTPS");
    let metrics = hub.connect_securely(&trust).request("GET", "/metrics", &[], b"");
    assert!(metrics.text().contains("fanfare_refused_total{reason=\"not_tls\"} 1\n"));
}

#[test]
fn the_greeting_names_https() {
    let (hub, _) = hub();
    hub.await_log(&format!("https://{}/sse/", hub.address()));
}

#[test]
fn unusable_files_are_reported_at_the_start() {
    let identity = Identity::generate();
    let files = Files::with(&identity);
    let other = Files::with(&Identity::generate());
    let empty = files.key().with_file_name("empty.pem");
    fs::write(&empty, "nothing\n").unwrap();
    let missing = files.key().with_file_name("missing.pem");
    for (certificate, key, complaint) in [
        (files.certificate(), other.key(), "does not belong to the first certificate in"),
        (empty.clone(), files.key(), "empty.pem holds no certificate"),
        (files.certificate(), empty, "empty.pem holds no private key"),
        (missing, files.key(), "cannot read "),
        (files.key().with_file_name(""), files.key(), "cannot read "),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(["--listen", "127.0.0.1:0", "--tls-cert"]).arg(certificate);
        let output = command.arg("--tls-key").arg(key).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: ") && said.contains(complaint), "{complaint}: {said}");
    }
}

#[test]
fn a_failed_handshake_is_counted() {
    let (hub, trust) = hub();
    let mut stranger = hub.connect_securely(&trusting(&Identity::generate()));
    assert!(stranger.try_send("GET / HTTP/1.1\r\n\r\n").is_err());
    let mut nonsense = hub.connect();
    nonsense.send([22, 3, 1, 0, 5, 1, 2, 3, 4, 5]);
    nonsense.rest();
    let mut connection = hub.connect_securely(&trust);
    let begun = Instant::now();
    loop {
        let metrics = connection.request("GET", "/metrics", &[], b"").text();
        if metrics.contains("fanfare_refused_total{reason=\"tls_handshake\"} 2\n") {
            break;
        }
        assert!(begun.elapsed() < TEST_TIMEOUT, "{metrics}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_browser_is_told_to_stay_with_https() {
    let (hub, trust) = hub();
    let hsts = |host: &str| {
        let mut connection = hub.connect_securely(&trust);
        let response = connection.request("GET", "/healthz", &[("Host", host)], b"");
        response.header("strict-transport-security").map(str::to_owned)
    };
    assert_eq!(hsts("hub.test:8000").as_deref(), Some("max-age=15552000"));
    // Another server of this machine may have no TLS, and an address is no name.
    for host in ["localhost:8000", "127.0.0.1", "10.0.0.7"] {
        assert_eq!(hsts(host), None, "{host}");
    }
    let plain = Hub::alone(&[]);
    assert_eq!(plain.get("/healthz").header("strict-transport-security"), None);
}
