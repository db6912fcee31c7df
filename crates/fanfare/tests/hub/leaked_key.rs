//! A key that is taken away lets nobody in any more, and what it had let in ends; the hub goes on.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jsonwebtoken::Algorithm;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::json;

use crate::support::issuer::{Issuer, bearer, good_claims, sign_with_secret};
use crate::support::{Hub, Subscriber, await_that};

const OLD: &str = "the old secret of the tests, which is long enough";
const NEW: &str = "the new secret of the tests, which is long enough";

fn publish(hub: &Hub, credential: &str) -> u16 {
    let headers = [("Authorization", &*bearer(credential)), ("Content-Type", "application/json")];
    hub.publisher().post(&headers, r#"{"message": "a"}"#).status
}

fn listen(hub: &Hub, credential: &str) -> Subscriber {
    hub.subscription().header("Authorization", &bearer(credential)).open()
}

fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[test]
fn a_secret_can_be_replaced_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    std::fs::write(&one, OLD).unwrap();
    std::fs::write(&two, format!("{NEW}\n")).unwrap();
    let [first, second] = [&one, &two].map(|path| format!("@{}", path.display()));
    let hub = Hub::alone(&["--jwt-secret", &first, "--jwt-secret", &second]);
    let by = |secret: &str| sign_with_secret(Algorithm::HS256, secret, &good_claims());
    let (old, new) = (by(OLD), by(NEW));
    assert_eq!([publish(&hub, &old), publish(&hub, &new)], [200, 200], "both are good");
    let ticket = hub.request("POST", "/sse/ticket", &[("Authorization", &bearer(&old))]);
    let mut by_old = listen(&hub, &old);
    let mut by_new = listen(&hub, &new);

    // A file that cannot be used changes nothing.
    replace(&one, "short");
    hub.signal(Signal::HUP);
    hub.await_log("the old ones stay");
    assert_eq!(publish(&hub, &old), 200);

    replace(&one, &format!("{NEW} and some more"));
    hub.signal(Signal::HUP);
    by_old.until_closed();
    assert_eq!(publish(&hub, &old), 401);
    let query = format!("ticket={}", ticket.json()["ticket"].as_str().unwrap());
    assert_eq!(hub.subscription().query(&query).ask().0.status, 401, "its tickets go with it");
    assert_eq!(publish(&hub, &new), 200);
    assert_eq!(by_new.next().data, "a", "whoever another key let in is not touched");
    // A stream is counted once it has ended.
    hub.await_metrics("one to be counted", |now| {
        now.labelled("fanfare_closed_total", "\"revoked\"") == 1.0
    });
}

#[test]
fn a_withdrawn_key_ends_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    std::fs::write(&keys, "the-first-of-the-keys\nthe-second-of-the-keys\n").unwrap();
    let issuer = Issuer::ed25519();
    let hub = Hub::alone(&[
        "--subscribe-key-file",
        keys.to_str().unwrap(),
        "--publish-key-file",
        keys.to_str().unwrap(),
        "--jwt-public-key",
        issuer.public_file().to_str().unwrap(),
    ]);
    let token = issuer.sign(Algorithm::EdDSA, &good_claims());
    let mut leaked = listen(&hub, "the-first-of-the-keys");
    let mut kept = listen(&hub, "the-second-of-the-keys");
    let mut signed = listen(&hub, &token);
    // Without a signal: files are looked at now and then.
    replace(&keys, "the-second-of-the-keys\nthe-third-of-the-keys\n");
    leaked.until_closed();
    assert_eq!(publish(&hub, "the-first-of-the-keys"), 401);
    assert_eq!(publish(&hub, "the-third-of-the-keys"), 200);
    assert_eq!(kept.next().data, "a");
    assert_eq!(signed.next().data, "a");
    std::fs::write(issuer.public_file(), Issuer::ed25519().public_pem).unwrap();
    hub.signal(Signal::HUP);
    while signed.try_next().is_ok_and(|event| event.is_some()) {}
    assert_eq!(publish(&hub, &token), 401);
    assert_eq!(publish(&hub, "the-third-of-the-keys"), 200, "the hub lives");
    assert_eq!(json!(kept.next().data), "a");
}

#[test]
fn unreadable_keys_are_read_again_later() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    std::fs::write(&keys, "the-first-of-the-keys\n").unwrap();
    let hub = Hub::alone(&["--publish-key-file", keys.to_str().unwrap()]);
    assert_eq!(publish(&hub, "the-first-of-the-keys"), 200);
    let pid = Pid::from_raw(hub.pid().cast_signed());
    let limit = |files: Rlimit| prlimit(pid, Resource::Nofile, files).unwrap();
    let before = limit(Rlimit { current: Some(0), maximum: getrlimit(Resource::Nofile).maximum });
    replace(&keys, "the-second-of-the-keys\n");
    hub.await_log("Too many open files");
    hub.await_log("the old ones stay");
    limit(before);
    // Nobody touches the file again.
    await_that("the new key to be good", || publish(&hub, "the-second-of-the-keys") == 200);
    assert_eq!(publish(&hub, "the-first-of-the-keys"), 401);
}

#[test]
fn a_key_file_that_every_user_can_read_is_named_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let [open, ours] = ["open", "ours"].map(|name| directory.path().join(name));
    for (path, mode) in [(&open, 0o644), (&ours, 0o640)] {
        std::fs::write(path, "a-key-that-is-long-enough\n").unwrap();
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let [open, ours] = [&open, &ours].map(|path| path.to_str().unwrap());
    let hub = Hub::alone(&["--publish-key-file", open, "--subscribe-key-file", ours]);
    hub.await_log(&format!("chmod 600 {open}"));
    assert!(!hub.logged().contains(&format!("chmod 600 {ours}")), "{}", hub.logged());
}
