//! A publisher that does not know whether its request arrived may repeat it under the same key.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Hub, Setup};

#[test]
fn a_repeated_key_publishes_nothing_and_answers_the_same() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "order-17")];
    let first = hub.publisher().post(&keyed, r#"{"message": "once"}"#);
    assert_eq!(first.status, 200, "{first:?}");
    let again = hub.publisher().post(&keyed, r#"{"message": "once"}"#);
    assert_eq!((again.status, again.json()), (200, first.json()));

    let other = [("Content-Type", "application/json"), ("Idempotency-Key", "order-18")];
    let other = hub.publisher().post(&other, r#"{"message": "twice"}"#);
    assert_ne!(other.json()["id"], first.json()["id"]);
    hub.publisher().send("thrice");
    assert_eq!(subscriber.messages(3), ["once", "twice", "thrice"]);
}

#[test]
fn a_repeated_batch_is_published_once() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let keyed = [("Content-Type", "application/x-ndjson"), ("Idempotency-Key", "batch-1")];
    let body = "{\"message\": \"1\"}\n{\"message\": \"2\"}";
    let first = hub.publisher().post(&keyed, body);
    assert_eq!((first.status, &first.json()["status"]), (200, &json!("messages sent")));
    let again = hub.publisher().post(&keyed, body);
    assert_eq!((again.status, again.json()), (200, first.json()));
    hub.publisher().send("3");
    assert_eq!(subscriber.messages(3), ["1", "2", "3"]);
}

#[test]
fn a_key_outlives_the_history_it_belongs_to_and_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let start = || Setup::new(&["--data", &data, "--retain-count", "10"]).own_log().start();
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "order-17")];
    let body = r#"{"message": "once"}"#;
    let mut hub = start();
    let first = hub.publisher().post(&keyed, body);
    assert_eq!(first.status, 200, "{first:?}");
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let before = format!("{}0", id.strip_suffix('1').unwrap());
    for kill in [Signal::KILL, Signal::TERM] {
        hub.publisher().count("default", 0..100);
        hub.await_trim("", &before);
        hub.signal(kill);
        hub.wait();
        hub = start();
        let again = hub.publisher().post(&keyed, body);
        assert_eq!((again.status, again.json()), (200, first.json()), "after {kill:?}");
    }
}

#[test]
fn a_refused_request_does_not_use_up_its_key() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    assert_eq!(hub.publisher().post(&keyed, r#"{"message": 1}"#).status, 422);
    assert_eq!(hub.publisher().post(&keyed, r#"{"message": "1"}"#).status, 200);
    assert_eq!(subscriber.next().data, "1");
}

#[test]
fn repeats_that_cross_on_the_way_are_published_once() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    for round in 0..20 {
        let answers: Vec<_> = std::thread::scope(|scope| {
            let publish = || {
                let key = format!("round-{round}");
                let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", &key)];
                let body = json!({ "message": round.to_string() }).to_string();
                hub.publisher().post(&keyed, body).json()
            };
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(publish)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(subscriber.next().data, round.to_string());
    }
}

/// One that is left without an answer has to publish again. Some shut down their side when they have
/// sent all they have, as `nc -N` does, and wait; the log on disk is what lets them be done first.
#[test]
fn a_publisher_that_ends_its_side_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Setup::new(&["--data", directory.path().to_str().unwrap()]).own_log().start();
    let request = "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Content-Length: 16\r\n\r\n{\"message\": \"x\"}";
    for _ in 0..50 {
        let mut socket = TcpStream::connect(hub.address()).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
    }
}
