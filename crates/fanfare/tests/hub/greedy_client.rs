//! One client cannot take up the hub.

use serde_json::json;

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Hub, Subscriber};

fn refused(hub: &Hub, reason: &str) -> f64 {
    hub.metrics().labelled("fanfare_refused_total", &format!("\"{reason}\""))
}

/// Whether a stream was granted; the other answer is to come back.
fn stays(subscriber: &mut Subscriber, hub: &Hub, headers: &[(&str, &str)]) -> bool {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    assert_eq!(hub.publisher().post(&all, r#"{"message": "a"}"#).status, 200);
    matches!(subscriber.try_next(), Ok(Some(_)))
}

#[test]
fn a_publisher_has_a_rate_limit() {
    let hub = Hub::alone(&["--publish-rate", "5", "--trusted-proxy", "127.0.0.0/8"]);
    let mut publisher = hub.publisher();
    let mut from = |client: &str| {
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", client)];
        publisher.post(&headers, r#"{"message": "a"}"#)
    };
    let too_fast = (0..1000).map(|_| from("192.0.2.1")).find(|response| response.status != 200);
    let too_fast = too_fast.expect("a thousand in a row are too many");
    assert_eq!(too_fast.status, 429);
    let wait: u64 = too_fast.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert!(too_fast.json()["detail"].is_string());
    assert_eq!(from("192.0.2.2").status, 200, "another is not to blame");
    assert_eq!(refused(&hub, "publish_rate"), 1.0);
}

#[test]
fn a_batch_counts_in_full() {
    let hub = Hub::alone(&["--publish-rate", "5"]);
    let batch = vec![r#"{"message": "a"}"#; 1000].join("\n");
    let mut publisher = hub.publisher();
    let headers = [("Content-Type", "application/x-ndjson")];
    assert_eq!(publisher.post(&headers, &batch).status, 200);
    let next = publisher.post(&headers, r#"{"message": "a"}"#);
    assert_eq!(next.status, 429);
    let wait: u64 = next.header("retry-after").unwrap().parse().unwrap();
    assert!((190..=200).contains(&wait), "{wait}");
}

#[test]
fn no_address_takes_all_the_streams() {
    let hub = Hub::alone(&["--max-subscribers-per-address", "2", "--trusted-proxy", "127.0.0.1"]);
    let open = |client: &str| hub.subscription().header("X-Forwarded-For", client).open();
    let mut first = open("2001:db8::1");
    let mut second = open("2001:db8::ffff:2");
    assert!(stays(&mut first, &hub, &[]) && stays(&mut second, &hub, &[]));
    let mut third = open("2001:db8:0:0:3::3");
    assert_eq!(third.until_closed(), [], "a network of 64 bits is one address");
    assert!(!third.retries.is_empty());
    assert_eq!(refused(&hub, "address_capacity"), 1.0);
    assert!(stays(&mut open("2001:db8:0:1::1"), &hub, &[]));
    // Only what the proxy adds counts.
    assert_eq!(open("192.0.2.9, 2001:db8::4").until_closed(), []);
    drop(first);
    hub.await_metrics("a place is free", |_| stays(&mut open("2001:db8::5"), &hub, &[]));
}

#[test]
fn no_address_takes_all_the_patterns() {
    let hub = Hub::alone(&[
        "--max-patterns-per-address",
        "3",
        "--max-patterns",
        "5",
        "--trusted-proxy",
        "127.0.0.1",
    ]);
    let open = |client: &str, query: &str| {
        hub.subscription().query(query).header("X-Forwarded-For", client).open()
    };
    let mut first = open("192.0.2.1", "topic=default/**&topic=b/*");
    assert!(stays(&mut first, &hub, &[]));
    assert_eq!(open("192.0.2.1", "topic=default/**&topic=c/*").until_closed(), []);
    assert_eq!(refused(&hub, "pattern_capacity"), 1.0);
    assert!(stays(&mut open("192.0.2.1", ""), &hub, &[]), "it may still name topics");
    let mut second = open("192.0.2.2", "topic=default/**&topic=b/*");
    assert!(stays(&mut second, &hub, &[]));
    assert_eq!(open("192.0.2.3", "topic=default/**&topic=b/*").until_closed(), []);
    assert_eq!(refused(&hub, "pattern_capacity"), 2.0, "there are so many for all together");
    drop(first);
    hub.await_metrics("patterns are free", |_| {
        stays(&mut open("192.0.2.3", "topic=default/**&topic=b/*"), &hub, &[])
    });
}

#[test]
fn a_pattern_too_hard_to_compare_is_refused() {
    let hub = Hub::alone(&[]);
    for (pattern, why) in [
        ("**/a/**/b/**/c/**/d/**".to_owned(), "at most 4 times"),
        ("a/".repeat(64) + "*", "64 segments"),
    ] {
        let response = hub.get(&format!("/sse/events?topic={pattern}"));
        assert_eq!(response.status, 422, "{response:?}");
        assert!(response.json()["detail"].to_string().contains(why), "{response:?}");
    }
    assert_eq!(refused(&hub, "invalid_subscribe"), 2.0);
}

#[test]
fn no_client_names_its_own_address() {
    let hub = Hub::alone(&["--max-subscribers-per-address", "1"]);
    let open = |client: &str| hub.subscription().header("X-Forwarded-For", client).open();
    let mut first = open("192.0.2.1");
    assert!(stays(&mut first, &hub, &[]));
    assert_eq!(open("192.0.2.2").until_closed(), []);
}

#[test]
fn no_subject_takes_all_the_streams() {
    let hub = Hub::alone(&["--jwt-secret", SECRET, "--max-subscribers-per-subject", "1"]);
    let holder = |subject: &str| {
        let rights = json!({"publish": ["**"], "subscribe": ["**"]});
        bearer(&token(&claims(subject, 3600.0, &rights)))
    };
    let [ada, bob] = ["ada", "bob"].map(holder);
    let open = |holder: &str| hub.subscription().header("Authorization", holder).open();
    let publishing = [("Authorization", &*bob)];
    let mut first = open(&ada);
    assert!(stays(&mut first, &hub, &publishing));
    assert_eq!(open(&ada).until_closed(), []);
    assert!(stays(&mut open(&bob), &hub, &publishing));
    assert_eq!(refused(&hub, "subject_capacity"), 1.0);
}

#[test]
fn too_many_topics_are_refused() {
    let hub = Hub::alone(&["--max-topics", "2"]);
    assert_eq!(hub.subscription().query("topic=a&topic=b/*&topic=a").ask().0.status, 200);
    let response = hub.get("/sse/events?topic=a&topic=b&topic=c");
    assert_eq!(response.status, 422, "{response:?}");
    assert_eq!(refused(&hub, "too_many_topics"), 1.0);
}

#[test]
fn waiting_requests_hold_their_places() {
    let hub = Hub::alone(&["--max-requests", "1"]);
    let mut waiting = hub.connect();
    waiting.send(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 16\r\n\r\n",
    );
    assert_eq!(waiting.head().status, 100, "the hub asks for the body: the place is taken");
    let headers = [("Content-Type", "application/json")];
    let refusal = hub.publisher().post(&headers, r#"{"message": "a"}"#);
    assert_eq!(refusal.status, 503);
    assert!(refusal.header("retry-after").is_some());
    assert_eq!(hub.subscribe("").until_closed(), [], "a stream is asked to come back");
    for path in ["/sse/", "/docs", "/sse/send/", "/nothing", "/openapi.json"] {
        assert_eq!(hub.get(path).status, 503, "{path} takes no place");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(hub.get(path).status, 200, "{path} does not say how a full hub is");
    }
    waiting.send(r#"{"message": "b"}"#);
    assert_eq!(waiting.response("POST").status, 200);
    hub.publisher().send("there is room again");
    assert!(refused(&hub, "requests") >= 2.0);
}

#[test]
fn those_ahead_of_the_hub_keep_nobody_out() {
    // Two places: the first publish may still hold one when its answer has been read.
    let hub = Hub::alone(&["--max-requests", "2"]);
    let mut publisher = hub.publisher();
    let id = publisher.send("last");
    let (epoch, seq) = id.split_once('-').unwrap();
    let ahead = format!("{epoch}-{}", seq.parse::<u64>().unwrap() + 1000);
    std::thread::scope(|scope| {
        // They are answered when the hub has waited long enough to come so far.
        let waiting = [1.0, 2.0].map(|count| {
            let waiting = scope.spawn(|| hub.subscription().after(&ahead).open());
            hub.await_metrics("it waits", |now| now.sum("fanfare_subscribers") == count);
            waiting
        });
        publisher.send("let in");
        for waiting in waiting {
            waiting.join().unwrap().gap("engine_lost_writes");
        }
    });
    assert_eq!(refused(&hub, "requests"), 0.0);
}

#[test]
fn one_address_has_its_share_of_places() {
    let hub = Hub::alone(&["--max-requests", "8", "--trusted-proxy", "127.0.0.1"]);
    let head = |client: &str| {
        format!(
            "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nX-Forwarded-For: {client}\r\n\
             Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n"
        )
    };
    let mut slow: Vec<_> = (0..4).map(|_| hub.connect()).collect();
    for connection in &mut slow {
        connection.send(head("2001:db8::1"));
        // Whoever asked before would take one of its places.
        assert_eq!(connection.head().status, 100, "the hub asks for the body: the place is taken");
    }
    let refusal = hub.request("GET", "/sse/", &[("X-Forwarded-For", "2001:db8::2")]);
    assert_eq!(refusal.status, 429, "{refusal:?}");
    assert!(refusal.header("retry-after").is_some());
    assert_eq!(refused(&hub, "address_requests"), 1.0);
    let mut other = hub.connect();
    other.send(head("192.0.2.2"));
    assert_eq!(other.head().status, 100, "another is kept out");
    other.send(r#"{"message": "b"}"#);
    assert_eq!(other.response("POST").status, 200, "another is kept out");
    for connection in &mut slow {
        connection.send(r#"{"message": "a"}"#);
        assert_eq!(connection.response("POST").status, 200);
    }
}

#[test]
fn no_address_sends_requests_without_end() {
    // So low that what a request for the metrics uses up takes long to come back.
    let hub = Hub::alone(&["--request-rate", "5", "--trusted-proxy", "127.0.0.1"]);
    let mut connection = hub.connect();
    let mut from = |client: &str, path: &str| {
        connection.request("GET", path, &[("X-Forwarded-For", client)], b"")
    };
    let refusal = (0..10_000).map(|_| from("192.0.2.1", "/nothing")).find(|r| r.status != 404);
    let refusal = refusal.expect("ten thousand in a row are too many");
    assert_eq!(refusal.status, 429, "{refusal:?}");
    assert!(refusal.header("retry-after").is_some() && refusal.json()["detail"].is_string());
    assert_eq!(from("192.0.2.1", "/healthz").status, 200, "health checks are not counted");
    assert_eq!(from("192.0.2.2", "/nothing").status, 404, "another is not to blame");
    // Metrics count for more.
    let metrics = (0..100).take_while(|_| from("192.0.2.3", "/metrics").status == 200).count();
    assert!(metrics < 3, "{metrics}");
    let mut stream = hub.subscription().header("X-Forwarded-For", "192.0.2.3").open();
    assert_eq!(stream.until_closed(), [], "a stream is asked to come back");
    assert!(!stream.retries.is_empty());
    assert!(refused(&hub, "request_rate") >= 3.0);
}
