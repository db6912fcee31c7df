//! Clients that send too slowly, or nothing, are let go of, and hold up nobody.

use std::net::TcpStream;

use rustix::process::{Resource, Signal, getrlimit};

use crate::support::{Connection, Files, Hub, Identity, raise_open_files};

const LONG_TIMEOUTS: &[&str] =
    &["--head-timeout", "10m", "--body-timeout", "10m", "--idle-timeout", "10m"];

#[test]
fn a_head_that_never_ends_times_out() {
    // Long enough for whoever asks for the metrics, on a busy machine too.
    let hub = Hub::alone(&["--head-timeout", "3s"]);
    let heads = ["", "P", "PRI * HT", "GET /healthz HTTP/1.1\r\nHost: hub"].map(|begun| {
        let mut connection = hub.connect();
        connection.send(begun);
        (begun, connection)
    });
    for (begun, mut connection) in heads {
        assert_eq!(connection.rest(), b"", "{begun:?}");
    }
    let metrics = hub.await_metrics("four refusals", |metrics| {
        metrics.labelled("fanfare_refused_total", "reason=\"head_timeout\"") == 4.0
    });
    assert_eq!(metrics.sum("fanfare_half_open_connections"), 0.0);
}

#[test]
fn a_handshake_that_never_ends_times_out() {
    let files = Files::with(&Identity::generate());
    let arguments = files.arguments(&["--head-timeout", "300ms"]);
    let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let mut connection = hub.connect();
    connection.send([22, 3, 1, 1, 0, 1]);
    connection.rest();
}

#[test]
fn a_body_that_never_ends_times_out() {
    let hub = Hub::alone(&["--body-timeout", "300ms"]);
    let mut connection = hub.connect();
    connection.send(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{\"message\":",
    );
    let response = connection.response("POST");
    assert_eq!(response.status, 408, "{response:?}");
    assert_eq!(response.json()["detail"], "the body did not arrive in time");
    connection.rest();
    hub.await_metrics("a refusal", |metrics| {
        metrics.labelled("fanfare_refused_total", "reason=\"body_timeout\"") == 1.0
    });
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    // Each is long enough for us, on a busy machine too.
    let hub = Hub::alone(&["--idle-timeout", "4s", "--head-timeout", "2s"]);
    let mut connection = hub.connect();
    // More requests than fit into the time for one head.
    for _ in 0..4 {
        assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
        std::thread::sleep(std::time::Duration::from_millis(750));
    }
    let mut subscriber = hub.subscribe("");
    assert_eq!(connection.rest(), b"");
    hub.publisher().send("streams are not idle");
    assert_eq!(subscriber.messages(1), ["streams are not idle"]);
    assert_eq!(hub.metrics().sum("fanfare_refused_total"), 0.0);
}

#[test]
fn bodies_that_never_end_are_bounded() {
    let hub = Hub::alone(&[LONG_TIMEOUTS, &["--max-bodies", "256KiB"]].concat());
    let begin = |size: usize| {
        let mut connection = hub.connect();
        connection.send(format!(
            "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
             Content-Length: 1000000\r\n\r\n{}",
            "x".repeat(size)
        ));
        connection
    };
    let mut waiting: Vec<_> = (0..20).map(|_| begin(32 << 10)).collect();
    hub.await_metrics("refusals", |metrics| {
        metrics.labelled("fanfare_refused_total", "reason=\"bodies\"") >= 12.0
    });
    // More than all of it, however much the last of the others has taken by now.
    let response = begin(300 << 10).response("POST");
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")), "{response:?}");
    waiting.clear();
    hub.await_metrics("connections to end", |metrics| metrics.sum("fanfare_connections") <= 1.0);
    hub.publisher().send("room again");
}

#[test]
fn half_open_connections_hold_up_nobody() {
    raise_open_files();
    let hub = Hub::alone(&[LONG_TIMEOUTS, &["--max-half-open", "500"]].concat());
    let before = hub.resident_memory();
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    publisher.send("before");
    let half_open: Vec<_> = (0..1_000)
        .map(|number| {
            publisher.send(&number.to_string());
            TcpStream::connect(hub.address()).unwrap()
        })
        .collect();
    // 500 are still there; whoever comes now is served all the same. The one that asks for the
    // metrics takes a place until it has asked: the last of the thousand comes before it or after.
    let metrics = hub.await_metrics("the others to leave", |metrics| {
        metrics.labelled("fanfare_refused_total", "reason=\"half_open\"") >= 500.0
    });
    let half_open_now = metrics.sum("fanfare_half_open_connections");
    assert!((499.0..=500.0).contains(&half_open_now), "{half_open_now} half-open connections");
    hub.publisher().send("after");
    let messages = subscriber.messages(1_002);
    assert_eq!((messages[0].as_str(), messages[1_001].as_str()), ("before", "after"));
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 32 << 20, "{growth} bytes more for half-open connections");
    drop(half_open);
}

#[test]
fn connections_without_a_request_make_room() {
    let hub = Hub::alone(&[LONG_TIMEOUTS, &["--max-connections", "10"]].concat());
    let mut subscribers: Vec<_> = (0..5).map(|_| hub.subscribe("")).collect();
    let mut idle = hub.connect();
    assert_eq!(idle.request("GET", "/healthz", &[], b"").status, 200);
    let _half_open: Vec<_> = (0..50).map(|_| TcpStream::connect(hub.address()).unwrap()).collect();
    hub.publisher().send("everyone is still here");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.messages(1), ["everyone is still here"]);
    }
    assert_eq!(idle.request("GET", "/healthz", &[], b"").status, 200);
    hub.await_metrics("the evicted to be gone", |metrics| {
        metrics.sum("fanfare_connections") <= 10.0
    });
}

/// As many connections as a fleet has, where so many files may be open.
fn fleet() -> usize {
    raise_open_files();
    // Other tests open files too, in this process.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files / 3).unwrap_or(usize::MAX).min(5_000)
}

#[test]
fn a_fleet_that_connects_first_is_served() {
    let fleet = fleet();
    let hub = Hub::alone(LONG_TIMEOUTS);
    // Before them, a thousand who never ask.
    let silent: Vec<_> =
        (0..1_000).map(|_| Connection::open_from("127.0.0.2", hub.address())).collect();
    let mut crowd: Vec<_> = (0..fleet).map(|_| hub.connect()).collect();
    hub.await_metrics("all of them", |now| {
        now.sum("fanfare_half_open_connections") >= (silent.len() + fleet) as f64
    });
    for connection in &mut crowd {
        connection.send("GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n");
    }
    for (number, connection) in crowd.iter_mut().enumerate() {
        assert_eq!(connection.head().status, 200, "number {number}");
    }
    assert_eq!(hub.metrics().sum("fanfare_refused_total"), 0.0);
}

#[test]
fn a_crowd_is_kept_where_one_address_floods() {
    let hub = Hub::alone(&[LONG_TIMEOUTS, &["--max-half-open", "50"]].concat());
    let mut honest: Vec<_> = (0..10).map(|_| hub.connect()).collect();
    let _silent: Vec<_> =
        (0..300).map(|_| Connection::open_from("127.0.0.2", hub.address())).collect();
    hub.await_metrics("those of the one address to leave", |now| {
        now.labelled("fanfare_refused_total", "reason=\"half_open\"") >= 250.0
    });
    for connection in &mut honest {
        assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
    }
}

#[test]
fn a_crowd_that_comes_at_once_is_served() {
    raise_open_files();
    let hub = Hub::alone(&["--max-half-open", "1_024"]);
    // All of them have sent their request before the first is accepted.
    hub.signal(Signal::STOP);
    let mut crowd: Vec<_> = (0..3_000)
        .map(|_| {
            let mut connection = hub.connect();
            connection.send("GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n");
            connection
        })
        .collect();
    hub.signal(Signal::CONT);
    for (number, connection) in crowd.iter_mut().enumerate() {
        assert_eq!(connection.head().status, 200, "number {number}");
    }
}
