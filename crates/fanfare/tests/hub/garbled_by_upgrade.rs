//! An upgrade garbles a stream over TLS, cuts it off, or has two processes seal it.
//!
//! Invariants: *no nonce twice*, *one commitment*, *once*.

use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use rustls::{CipherSuite, ClientConfig};
use serde_json::json;

use crate::broken_upgrade::{END, HANG, HEAR, HELLO, PREPARED, READY, RECEIVED, acting};
use crate::support::{
    Files, Http, Hub, Identity, Ledger, Publisher, Setup, Subscriber, trusting, trusting_over,
};

const SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// A hub that speaks TLS alone, and whoever trusts it.
struct Secure {
    hub: Hub,
    identity: Identity,
    trust: Arc<ClientConfig>,
    _files: Files,
}

impl Secure {
    fn start() -> Self {
        let identity = Identity::generate();
        let files = Files::with(&identity);
        // Who is stuck stays so for the whole of a test, however long that takes.
        let arguments = files.arguments(&["--write-timeout", "10m"]);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let hub = Setup::new(&arguments).own_log().alone().start();
        let trust = trusting(&identity);
        Self { hub, identity, trust, _files: files }
    }

    /// Over a connection of its own: those between two requests are closed by an upgrade.
    fn publisher(&self) -> Publisher {
        Publisher::over(self.hub.connect_securely(&self.trust))
    }

    fn subscribe(&self) -> Subscriber {
        self.hub.subscription().secure(&self.trust).open()
    }

    /// One that is soon blocked, where it does not read.
    fn stuck(&self) -> Subscriber {
        self.hub.subscription().secure(&self.trust).narrow().open()
    }

    /// Publishes numbers, each in an event that takes several records.
    fn count_in_large_events(&self, numbers: std::ops::Range<u64>) {
        let mut publisher = self.publisher();
        let numbers: Vec<_> = numbers.collect();
        for some in numbers.chunks(10) {
            publisher.batch(some.iter().map(|n| json!({ "message": format!("{n:<60000}") })));
        }
    }
}

#[track_caller]
fn has_all(stream: &mut Subscriber, numbers: std::ops::Range<u64>) {
    let mut ledger = Ledger::beginning_with(numbers.start);
    numbers.for_each(|_| ledger.enter(&stream.next()));
}

#[test]
fn streams_over_tls_outlive_five_processes() {
    const EACH: usize = 10;
    const UPGRADES: u64 = 5;
    let mut secure = Secure::start();
    let mut streams = Vec::new();
    for wanted in SUITES {
        let trust =
            trusting_over(&secure.identity, |suite| suite == wanted, &[&rustls::version::TLS13]);
        let subscription = secure.hub.subscription().secure(&trust);
        streams.extend((0..EACH).map(|_| subscription.open()));
    }
    let said = secure.hub.ask_for_upgrade(&["--check"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("30 streams would keep their connections\n0 streams would"), "{said}");
    for round in 0..UPGRADES {
        secure.publisher().count("default", round * 40..round * 40 + 40);
        if round % 2 == 0 {
            // What is not read yet stays in the kernel, and some of it may be half a record.
            let numbers = round * 40..round * 40 + 40;
            streams.iter_mut().step_by(2).for_each(|stream| has_all(stream, numbers.clone()));
        }
        let said = secure.hub.upgrade();
        assert!(said.contains("30 streams kept their connections"), "{said}");
        assert!(said.contains("\n0 streams were closed"), "{said}");
        if round % 2 == 1 {
            let numbers = round * 40..round * 40 + 40;
            streams.iter_mut().step_by(2).for_each(|stream| has_all(stream, numbers.clone()));
        }
    }
    let last = UPGRADES * 40;
    secure.publisher().count("default", last..last + 1);
    for (number, stream) in streams.iter_mut().enumerate() {
        has_all(stream, if number % 2 == 0 { last..last + 1 } else { 0..last + 1 });
    }
    secure.hub.terminate();
    for stream in &mut streams {
        assert_eq!(stream.until_closed(), []);
        assert_eq!(stream.retries.len(), 2, "it is told when to come back");
    }
}

#[test]
fn a_half_written_record_is_finished() {
    let mut secure = Secure::start();
    let mut stuck = [secure.stuck(), secure.stuck()];
    let mut brisk = secure.subscribe();
    secure.count_in_large_events(0..100);
    has_all(&mut brisk, 0..100);
    for round in 0..3 {
        let said = secure.hub.upgrade();
        assert!(said.contains("3 streams kept their connections"), "{said}");
        let numbers = 100 + round * 10..110 + round * 10;
        secure.count_in_large_events(numbers.clone());
        has_all(&mut brisk, numbers);
        // It takes a little, and is stuck again in another record.
        has_all(&mut stuck[1], round * 7..round * 7 + 7);
    }
    has_all(&mut stuck[0], 0..130);
    has_all(&mut stuck[1], 21..130);
}

#[test]
fn a_tls_stream_survives_an_upgrade_that_fails() {
    let mut secure = Secure::start();
    let mut stuck = secure.stuck();
    let mut brisk = secure.subscribe();
    secure.count_in_large_events(0..60);
    has_all(&mut brisk, 0..60);
    let mut next = 60;
    for rest in [
        &[END][..],
        &[HEAR, HEAR, END],
        &[HEAR, HEAR, RECEIVED, END],
        &[HEAR, HEAR, RECEIVED, PREPARED, END],
        &[HEAR, HEAR, RECEIVED, PREPARED, HEAR, END],
        &[HEAR, HEAR, RECEIVED, PREPARED, HEAR, READY, HANG],
    ] {
        let program = acting(&[&[HELLO, HEAR, READY], rest].concat());
        let output = secure.hub.ask_for_upgrade(&["--binary", program.path().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        secure.count_in_large_events(next..next + 2);
        has_all(&mut brisk, next..next + 2);
        next += 2;
    }
    // And then it works: with the numbers where they were.
    secure.hub.upgrade();
    secure.count_in_large_events(next..next + 1);
    has_all(&mut brisk, next..next + 1);
    has_all(&mut stuck, 0..next + 1);
}

#[test]
fn over_tls_whoever_cannot_move_is_told_when_to_come_back() {
    let mut secure = Secure::start();
    let old = trusting_over(&secure.identity, |_| true, &[&rustls::version::TLS12]);
    let mut others = [
        secure.hub.subscription().secure(&old).open(),
        secure.hub.subscription().over(Http::Two).secure(&secure.trust).open(),
    ];
    let mut stays = secure.subscribe();
    secure.publisher().send("before");
    others.iter_mut().for_each(|other| assert_eq!(other.messages(1), ["before"]));
    let said = secure.hub.upgrade();
    assert!(said.contains("1 streams kept") && said.contains("2 streams were closed"), "{said}");
    for other in &mut others {
        assert_eq!(other.until_closed(), []);
        assert_eq!(other.retries.len(), 2, "one at the start, one at the end");
    }
    secure.publisher().send("after");
    assert_eq!(stays.messages(2), ["before", "after"]);
}

/// What a program of format 1 says.
const HELLO_1: &str = "4646484f01 0100 0100 0100000000000000 39";
const COMMITTED: &str = "4646484f09";
const SERVING: &str = "4646484f0a";

#[test]
fn a_version_without_tls_is_given_no_tls_stream() {
    let secure = Secure::start();
    let mut stream = secure.subscribe();
    secure.publisher().send("before");
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let hear = format!("dd bs=9999 count=1 status=none > {}", state.display());
    let rest = [hear.as_str(), PREPARED, HEAR, COMMITTED, SERVING, HANG];
    let program = acting(&[&[HELLO_1, HEAR, READY], &rest[..]].concat());
    let output = secure.hub.ask_for_upgrade(&["--binary", program.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("0 streams kept") && said.contains("1 streams were closed"), "{said}");
    let state_without_descriptors = b"FFHO\x04\0\0\0\0";
    assert_eq!(std::fs::read(state).unwrap(), state_without_descriptors);
    let events = stream.until_closed();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(stream.retries.len(), 2, "it is told when to come back");
    let pid = said.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}
