//! A hub that stops lets everyone go in order.
//!
//! Invariants: *clean close*, *no silent loss*.

use std::collections::BTreeSet;

use crate::support::{Http, Hub, Setup, raise_open_files, seq};

#[test]
fn two_thousand_streams_are_closed_cleanly() {
    raise_open_files();
    let mut hub = Hub::start(&["--drain", "2s"]);
    let mut subscribers: Vec<_> = (0..2000)
        .map(|n| {
            let http = if n % 100 == 0 { Http::Two } else { Http::One };
            hub.subscription().over(http).open()
        })
        .collect();
    hub.await_metrics("all of them", |now| now.sum("fanfare_subscribers") == 2000.0);
    let id = hub.publisher().send("farewell");
    // Nodes on a shared log may hear of it after its acknowledgement, and one that stops before that never hears of it.
    let heard = hub.nodes() as f64 * seq(&id) as f64;
    hub.await_metrics("it is heard", |now| now.sum("fanfare_last_seq") == heard);
    hub.terminate();
    let mut retries = BTreeSet::new();
    for subscriber in &mut subscribers {
        let events = subscriber.until_closed();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!((events[0].id.as_str(), events[0].data.as_str()), (id.as_str(), "farewell"));
        assert_eq!(subscriber.retries.len(), 2, "one at the start, one at the end");
        retries.insert(subscriber.retries[1]);
    }
    assert!(retries.len() > 100, "they would all come back in one beat: {retries:?}");
    let status = hub.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
}

#[test]
fn an_interrupt_is_as_good_as_a_termination() {
    let mut hub = Hub::start(&["--drain", "0s"]);
    let mut subscriber = hub.subscribe("");
    hub.signal(rustix::process::Signal::INT);
    assert_eq!(subscriber.until_closed(), []);
    assert_eq!(hub.wait().code(), Some(0));
}

#[test]
fn whoever_has_heard_nothing_yet_comes_back_to_what_is_live() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let start = || Setup::new(&["--data", &data, "--drain", "0s"]).own_log().start();
    for http in [Http::One, Http::Two] {
        let mut hub = start();
        hub.publisher().send("before");
        let mut newcomer = hub.subscription().over(http).open();
        hub.await_metrics("it", |now| now.sum("fanfare_subscribers") == 1.0);
        hub.terminate();
        assert_eq!(newcomer.until_closed(), []);
        hub.wait();
        let hub = start();
        hub.publisher().send("while it was away");
        let id = newcomer.last_event_id();
        let mut back = hub.subscription().over(http).after(id).open();
        assert_eq!(back.messages(1), ["while it was away"]);
    }
}

#[test]
fn a_request_in_flight_is_finished() {
    let mut hub = Hub::start(&["--drain", "5s"]);
    let mut others: Vec<_> = (0..20).map(|_| hub.subscribe("topic=others")).collect();
    let mut subscriber = hub.subscribe("");
    let mut connection = hub.connect();
    let body = r#"{"message": "in flight"}"#;
    let (first, second) = body.split_at(10);
    connection.send(format!(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    // The hub asks for the body: the request has begun.
    assert_eq!(connection.head().status, 100);
    connection.send(first);
    hub.terminate();
    hub.await_drain();
    connection.send(second);
    let response = connection.response("POST");
    assert_eq!((response.status, &response.json()["status"]), (200, &"message sent".into()));
    let id = response.json()["id"].as_str().unwrap().to_owned();
    // Its stream may have been closed before; an event after that is not for it.
    for event in subscriber.until_closed() {
        assert_eq!((event.id, event.data.as_str()), (id.clone(), "in flight"));
    }
    assert_eq!(hub.wait().code(), Some(0));
    for other in &mut others {
        assert_eq!(other.until_closed(), []);
    }
}

#[test]
fn newcomers_are_turned_away_during_the_drain() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let setup = Setup::new(&["--data", &data, "--drain", "5s"]).own_log();
    let mut hub = setup.start();
    let mut streams: Vec<_> = (0..50).map(|_| hub.subscribe("")).collect();
    let mut idle = hub.connect();
    assert_eq!(idle.request("GET", "/healthz", &[], b"").status, 200);
    let mut silent = hub.connect();
    hub.terminate();
    hub.await_drain();
    for http in [Http::One, Http::Two] {
        let mut turned_away = hub.subscription().over(http).open();
        assert_eq!(turned_away.head.status, 200);
        assert_eq!(turned_away.until_closed(), []);
        assert_eq!(turned_away.retries.len(), 1, "it is told when to come back");
    }
    // What is published is in the log, and those who come back find it there.
    let id = hub.publisher().send("during the drain");
    for connection in [&mut idle, &mut silent] {
        let response = connection.request("GET", "/readyz", &[], b"");
        assert_eq!(response.status, 503, "{response:?}");
        assert_eq!(response.header("connection"), Some("close"));
        connection.rest();
    }
    let refused = hub.metrics().labelled("fanfare_refused_total", "reason=\"draining\"");
    assert_eq!(refused, 2.0);
    let before: Vec<_> = streams
        .iter_mut()
        .map(|stream| {
            let heard = stream.until_closed().into_iter().any(|event| event.id == id);
            (heard, stream.last_event_id().to_owned())
        })
        .collect();
    assert_eq!(hub.wait().code(), Some(0));
    let hub = Setup::new(&["--data", &data]).own_log().start();
    for (heard, last) in before.into_iter().filter(|(_, last)| !last.is_empty()) {
        if !heard {
            let mut back = hub.subscription().after(&last).open();
            assert_eq!(back.messages(1), ["during the drain"]);
        }
    }
}

#[test]
fn a_hangup_is_ignored() {
    let mut hub = Hub::alone(&[]);
    let mut subscriber = hub.subscribe("");
    hub.signal(rustix::process::Signal::HUP);
    hub.await_log("SIGHUP is ignored");
    hub.publisher().send("it goes on");
    assert_eq!(subscriber.messages(1), ["it goes on"]);
    assert!(hub.runs());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut hub = Hub::start(&["--drain", "10m"]);
    let subscribers: Vec<_> = (0..10).map(|_| hub.subscribe("")).collect();
    hub.await_metrics("all of them", |now| now.sum("fanfare_subscribers") == 10.0);
    hub.terminate();
    hub.await_drain();
    assert!(hub.runs(), "it drains for ten minutes");
    hub.terminate();
    hub.wait();
    drop(subscribers);
}

#[test]
fn a_repeated_signal_after_a_takeover_counts_once() {
    let mut hub = Setup::new(&["--drain", "1s"]).own_log().alone().start();
    hub.upgrade();
    let mut streams: Vec<_> = (0..20).map(|_| hub.subscribe("")).collect();
    // systemd tells the new process, and so does the old one, which systemd has told too.
    hub.terminate();
    hub.terminate();
    for stream in &mut streams {
        assert_eq!(stream.until_closed(), []);
        assert_eq!(stream.retries.len(), 2, "it is told when to come back");
    }
    hub.wait();
}

#[test]
fn an_idle_hub_does_not_wait_for_nobody() {
    let mut hub = Hub::start(&["--drain", "10m"]);
    let _idle = hub.connect();
    let _kept_alive = hub.publisher().send("a");
    hub.terminate();
    assert_eq!(hub.wait().code(), Some(0));
}
