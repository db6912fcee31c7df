//! An upgrade drops a stream, or an event, or lets one arrive twice.
//!
//! Invariants: *one commitment*, *no silent loss*, *once*.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fanfare_testkit::RedisServer;
use serde_json::json;

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{
    Http, Hub, Ledger, SetOnDrop, Setup, TEST_TIMEOUT, await_that, raise_open_files,
};

/// A hub with a log of its own, in memory, whatever the profile.
fn hub(arguments: &[&str]) -> Hub {
    Setup::new(arguments).own_log().alone().start()
}

#[test]
fn streams_outlive_five_processes_while_events_are_published() {
    const STREAMS: usize = 200;
    const UPGRADES: u64 = 5;
    raise_open_files();
    let mut hub = hub(&[]);
    let mut streams: Vec<_> = (0..STREAMS).map(|_| hub.subscribe("topic=**")).collect();
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut publisher = hub.publisher();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Over one connection: each publish is acknowledged, by whatever process.
            for number in 0_u64.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                publisher.send(&number.to_string());
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ends = SetOnDrop(&done);
        let first = hub.pid();
        for count in 1..=UPGRADES {
            let before = acknowledged.load(Ordering::Relaxed);
            await_that("publishes", || acknowledged.load(Ordering::Relaxed) >= before + 20);
            let said = hub.upgrade();
            assert!(said.contains(&format!("{STREAMS} streams kept")), "{said}");
            let metrics = hub.metrics();
            assert_eq!(metrics.sum("fanfare_upgrades_total"), count as f64);
            assert_eq!(metrics.sum("fanfare_subscribers"), STREAMS as f64);
        }
        assert_ne!(hub.pid(), first);
        drop(ends);
    });
    let last = acknowledged.load(Ordering::Relaxed);
    for stream in &mut streams {
        let mut ledger = Ledger::beginning_with(0);
        while ledger.next() < last {
            ledger.enter(&stream.next());
        }
    }
}

#[test]
fn an_id_of_the_old_process_is_good_at_the_new_one() {
    let mut hub = hub(&[]);
    let mut publisher = hub.publisher();
    let before = publisher.send("before");
    let key = [("Content-Type", "application/json"), ("Idempotency-Key", "one")];
    let first = publisher.post(&key, r#"{"message": "once"}"#).json();
    hub.upgrade();
    let again = publisher.post(&key, r#"{"message": "once"}"#).json();
    assert_eq!(again["id"], first["id"], "the key is forgotten");
    let after = publisher.send("after");
    assert_eq!(before.split_once('-').unwrap().0, after.split_once('-').unwrap().0, "the epoch");
    let mut back = hub.subscription().after(&before).open();
    assert_eq!(back.messages(2), ["once", "after"]);
}

#[test]
fn a_log_on_disk_goes_along() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let mut hub = hub(&["--data", &data, "--window-count", "4"]);
    let mut stream = hub.subscribe("");
    let mut publisher = hub.publisher();
    let first = publisher.send("0");
    for number in 1..4_u64 {
        hub.upgrade();
        publisher.batch((0..20).map(|n| json!({ "message": (number * 20 + n).to_string() })));
    }
    assert_eq!(stream.messages(1), ["0"]);
    let expected: Vec<_> = (20..80).map(|number| number.to_string()).collect();
    assert_eq!(stream.messages(60), expected);
    let mut back = hub.subscription().after(&first).open();
    assert_eq!(back.messages(60), expected, "what the window does not hold comes from the disk");
    hub.terminate();
    hub.wait();
    let binary = env!("CARGO_BIN_EXE_fanfare");
    let verified = Command::new(binary).args(["log", "verify", &data]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn a_node_on_redis_stays_in_its_cluster() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let mut hub = hub(&["--redis", &url]);
    let other = Setup::new(&["--redis", &url]).own_log().alone().start();
    let (mut here, mut there) = (hub.subscribe(""), other.subscribe(""));
    let mut publisher = hub.publisher();
    let before = publisher.send("0");
    let mut elsewhere = other.publisher();
    for number in (1..7).step_by(2) {
        hub.upgrade();
        elsewhere.send(&number.to_string());
        publisher.send(&(number + 1).to_string());
    }
    let expected: Vec<_> = (0..7).map(|number| number.to_string()).collect();
    assert_eq!(here.messages(7), expected);
    assert_eq!(there.messages(7), expected);
    let after = publisher.send("7");
    assert_eq!(before.split_once('-').unwrap().0, after.split_once('-').unwrap().0, "the epoch");
}

#[test]
fn an_event_that_was_half_written_is_finished() {
    // Who is stuck stays so until the end, however long that takes.
    let mut hub = hub(&["--write-timeout", "10m"]);
    let mut stuck = hub.subscription().narrow().open();
    let mut brisk = hub.subscribe("");
    let numbers = |numbers: std::ops::Range<u64>| {
        numbers.map(|n| json!({ "message": format!("{n:<60000}") }))
    };
    let mut publisher = hub.publisher();
    for begin in (0..100).step_by(10) {
        publisher.batch(numbers(begin..begin + 10));
    }
    let mut ledger = Ledger::beginning_with(0);
    (0..100).for_each(|_| ledger.enter(&brisk.next()));
    hub.upgrade();
    publisher.batch(numbers(100..110));
    hub.upgrade();
    let mut ledger = Ledger::beginning_with(0);
    (0..110).for_each(|_| ledger.enter(&stuck.next()));
}

#[test]
fn a_request_that_was_half_sent_is_read_on() {
    let mut hub = hub(&[]);
    let mut subscriber = hub.subscribe("");
    let mut connection = hub.connect();
    assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
    let body = r#"{"message": "over two processes"}"#;
    connection.send("POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: applica");
    hub.upgrade();
    connection.send(format!("tion/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(connection.response("POST").status, 200);
    assert_eq!(subscriber.messages(1), ["over two processes"]);
}

#[test]
fn a_half_sent_body_is_refused_not_misread() {
    let mut hub = hub(&[]);
    let mut subscriber = hub.subscribe("");
    let mut connection = hub.connect();
    let body = r#"{"message": "neither here nor there"}"#;
    let (first, rest) = body.split_at(10);
    connection.send(format!(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    // The hub asks for the body: the request has begun.
    assert_eq!(connection.head().status, 100);
    connection.send(first);
    hub.upgrade_meanwhile(|| {
        connection.send(rest);
        let refused = connection.response("POST");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
    });
    hub.publisher().send("after");
    assert_eq!(subscriber.messages(1), ["after"], "what was refused was not done");
}

#[test]
fn a_connection_with_a_refused_body_is_kept() {
    let mut hub = hub(&["--publish-key", "a-key-that-is-long-enough-for-anyone"]);
    let mut connection = hub.connect();
    let json = [("Content-Type", "application/json")];
    let refused = connection.request("POST", "/sse/send", &json, br#"{"message": "mine"}"#);
    assert_eq!(refused.status, 401, "{refused:?}");
    let said = hub.upgrade();
    assert!(said.contains("0 streams kept their connections, and 1 others"), "{said}");
    assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn whatever_streams_have_not_taken_goes_along() {
    const STUCK: usize = 400;
    raise_open_files();
    let mut hub = hub(&[]);
    let mut stuck: Vec<_> = (0..STUCK).map(|_| hub.subscription().narrow().open()).collect();
    let mut brisk = hub.subscribe("");
    let mut publisher = hub.publisher();
    let numbers = 0..12_u64;
    let space = " ".repeat(1_000_000);
    for number in numbers.clone() {
        publisher.batch([json!({ "message": format!("{number}{space}") })]);
    }
    let mut ledger = Ledger::beginning_with(0);
    numbers.for_each(|_| ledger.enter(&brisk.next()));
    let said = hub.upgrade_meanwhile(|| {
        // Those behind for whom there is no room; one that has little left may still have fitted in.
        let mut behind = stuck.iter_mut().rev();
        let lost = behind.any(|stream| (0..12).any(|_| !matches!(stream.try_next(), Ok(Some(_)))));
        assert!(lost, "they had taken everything");
    });
    let closed = said.lines().find(|line| line.contains(" streams were closed")).unwrap();
    let closed: usize = closed.split(' ').next().unwrap().parse().unwrap();
    assert!((1..STUCK).contains(&closed), "{said}");
    hub.publisher().send("12");
    assert_eq!(brisk.messages(1), ["12"]);
}

#[test]
fn curl_does_not_notice_ten_upgrades() {
    const UPGRADES: usize = 10;
    let mut hub = hub(&[]);
    let url = format!("http://{}/sse/events", hub.address());
    let curl = Command::new("curl").args(["-sSN", &url]).stdout(Stdio::piped()).spawn();
    let mut curl = curl.expect("curl is installed");
    hub.await_metrics("curl", |now| now.sum("fanfare_subscribers") == 1.0);
    let mut publisher = hub.publisher();
    for number in 0..UPGRADES {
        hub.upgrade();
        publisher.send(&number.to_string());
    }
    let lines = BufReader::new(curl.stdout.take().unwrap()).lines().map_while(Result::ok);
    let data = lines.filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    let data: Vec<_> = data.take(UPGRADES).collect();
    assert_eq!(data, (0..UPGRADES).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(curl.try_wait().unwrap().is_none(), "curl has ended");
    curl.kill().unwrap();
    curl.wait().unwrap();
}

#[test]
fn whoever_cannot_move_is_told_when_to_come_back() {
    let mut hub = hub(&[]);
    let mut other = hub.subscription().over(Http::Two).open();
    let mut stays = hub.subscribe("");
    let id = hub.publisher().send("before");
    assert_eq!(other.messages(1), ["before"]);
    let said = hub.upgrade();
    assert!(said.contains("1 streams were closed"), "{said}");
    assert_eq!(other.until_closed(), []);
    assert_eq!(other.retries.len(), 2, "one at the start, one at the end");
    hub.publisher().send("after");
    assert_eq!(stays.messages(2), ["before", "after"]);
    let mut back = hub.subscription().over(Http::Two).after(&id).open();
    assert_eq!(back.messages(1), ["after"]);
}

#[test]
fn a_token_expires_after_an_upgrade_too() {
    let mut hub = hub(&["--jwt-secret", SECRET]);
    let holder = bearer(&token(&claims("ada", 8.0, &json!({"subscribe": ["**"]}))));
    let mut stream = hub.subscription().header("Authorization", &holder).open();
    hub.upgrade();
    let end = stream.next();
    assert_eq!(end.kind.as_deref(), Some("fanfare.expired"), "{end:?}");
    assert_eq!(stream.until_closed(), []);
}

#[test]
fn systemd_follows_the_new_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let said = || {
        let mut words = [0; 256];
        let length = systemd.recv(&mut words).unwrap();
        String::from_utf8(words[..length].to_vec()).unwrap()
    };
    let mut hub =
        Setup::new(&["--drain", "0s"]).variable("NOTIFY_SOCKET", &path).own_log().alone().start();
    assert_eq!(said(), "READY=1");
    hub.upgrade();
    assert_eq!(said(), format!("MAINPID={}\nREADY=1", hub.pid()));
    hub.terminate();
    assert_eq!(said(), "STOPPING=1");
    hub.wait();
}

#[test]
fn a_signal_is_an_order() {
    let hub = hub(&[]);
    let mut subscriber = hub.subscribe("");
    hub.signal(rustix::process::Signal::USR2);
    hub.await_log("handed over");
    hub.publisher().send("after");
    assert_eq!(subscriber.messages(1), ["after"]);
    // It is nobody's child: whoever kills it has to know it.
    let log = hub.logged();
    let pid = log.split("pid=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let pid = pid.and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
}
