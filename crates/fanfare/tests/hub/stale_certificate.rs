//! A certificate that was replaced is shown from then on; nothing that is open notices.

use std::fs;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::ClientConfig;

use crate::support::{Files, Http, Hub, Identity, Publisher, TEST_TIMEOUT, trusting};

fn start(files: &Files) -> Hub {
    let arguments = files.arguments(&[]);
    Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether the hub shows a newcomer what it trusts.
fn is_shown(hub: &Hub, trust: &Arc<ClientConfig>) -> bool {
    let mut connection = hub.connect_securely(trust);
    connection.try_send("GET /healthz HTTP/1.1\r\nHost: hub.test\r\n\r\n").is_ok()
        && connection.response("GET").status == 200
}

fn await_shown(hub: &Hub, trust: &Arc<ClientConfig>) {
    let begun = Instant::now();
    while !is_shown(hub, trust) {
        assert!(begun.elapsed() < TEST_TIMEOUT, "the new certificate is not shown");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_new_certificate_is_shown_and_streams_go_on() {
    let (old, new) = (Identity::generate(), Identity::generate());
    let (trusting_old, trusting_new) = (trusting(&old), trusting(&new));
    let files = Files::with(&old);
    let hub = start(&files);
    let mut publisher = Publisher::over(hub.connect_securely(&trusting_old));
    publisher.send("shakes hands");
    let mut subscribers = [Http::One, Http::Two]
        .map(|http| hub.subscription().over(http).secure(&trusting_old).open());

    files.replace(&new);
    await_shown(&hub, &trusting_new);
    assert!(!is_shown(&hub, &trusting_old));
    publisher.send("still here");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.messages(1), ["still here"]);
    }
}

#[test]
fn sighup_reads_the_certificate_again() {
    let (old, new) = (Identity::generate(), Identity::generate());
    let files = Files::with(&old);
    let hub = start(&files);
    hub.signal(Signal::HUP);
    hub.await_log("the TLS certificate was read again");
    files.replace(&new);
    hub.signal(Signal::HUP);
    await_shown(&hub, &trusting(&new));
}

#[test]
fn a_broken_certificate_does_not_replace_the_old() {
    let (old, new) = (Identity::generate(), Identity::generate());
    let files = Files::with(&old);
    let hub = start(&files);
    fs::write(files.certificate(), &new.certificate_pem).unwrap();
    hub.await_log("does not belong to the first certificate");
    assert!(is_shown(&hub, &trusting(&old)));
    fs::write(files.key(), &new.key_pem).unwrap();
    await_shown(&hub, &trusting(&new));
}
