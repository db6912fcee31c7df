//! A command leaves people to guess: whether it is connected, when something happened, what to write
//! instead.

use std::fs;
use std::process::Command;

use rcgen::CertifiedKey;

use crate::support::{Hub, Running, fanfare, json, run};

#[test]
fn https_to_a_plain_hub_is_explained() {
    let hub = Hub::start(&[]);
    let url = hub.url().replace("http://", "https://");
    for arguments in [&["publish", "x", "--retry-for", "0s"][..], &["subscribe"], &["ready"]] {
        let ended = run(fanfare(arguments).args(["--url", &url]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("is answered, but not in TLS"), "{ended:?}");
        assert!(ended.stderr.contains("write http:// in place of https://"), "{ended:?}");
        assert!(!ended.stderr.contains("InvalidContentType"), "{ended:?}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let identity = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let CertifiedKey { cert, signing_key } = identity();
    fs::write(path("certificate"), cert.pem()).unwrap();
    fs::write(path("key"), signing_key.serialize_pem()).unwrap();
    fs::write(path("trusted"), identity().cert.pem()).unwrap();
    let mut command = fanfare(&["--listen", "127.0.0.1:0", "--tls-cert"]);
    let hub = Running::start(command.arg(path("certificate")).arg("--tls-key").arg(path("key")));
    let port_in = |text: &str| {
        let (_, rest) = text.split_once("https://")?;
        rest.split('/').next()?.rsplit(':').next()?.parse::<u16>().ok()
    };
    hub.await_output("where it serves", |hub| port_in(&hub.stdout()).is_some());
    let url = format!("https://localhost:{}", port_in(&hub.stdout()).unwrap());
    let mut command = fanfare(&["ready", "--url", &url]);
    let ended = run(command.env("SSL_CERT_FILE", path("trusted")));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("name its authority in SSL_CERT_FILE"), "{ended:?}");
}

#[test]
fn a_missing_message_is_asked_for_by_name() {
    let ended = run(&mut fanfare(&["publish"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`echo Hello | fanfare publish -`"), "{ended:?}");
}

#[test]
fn json_says_when() {
    let hub = Hub::start(&[]);
    hub.publish(&["x"]);
    let ended = run(&mut hub.fanfare(&["subscribe", "--since", "earliest", "-n", "1", "--json"]));
    let event = &json(&ended.stdout)[0];
    let published_at = event["published_at"].as_str().unwrap_or_default();
    assert!(published_at.starts_with("20") && published_at.ends_with('Z'), "{event}");
}

#[test]
fn only_a_terminal_is_told_that_the_stream_is_open() {
    let hub = Hub::start(&[]);
    // A terminal of its own; what is shown there comes out of `script`.
    let line = format!("{} subscribe --url {}", env!("CARGO_BIN_EXE_fanfare"), hub.url());
    let mut command = Command::new("script");
    command.args(["-qefc", &line, "/dev/null"]).env_remove("FANFARE_TOKEN");
    let terminal = Running::start(&mut command);
    terminal.await_output("that it is connected", |it| it.stdout().contains("connected; Ctrl-C"));

    let mut subscriber = hub.subscriber_with_id(&["-n", "1"]);
    hub.publish(&["x"]);
    assert!(subscriber.wait().success());
    assert_eq!(subscriber.stderr(), "");
}
