//! Whoever is turned away is counted, once, whichever stream or list they asked for.

use crate::support::{Hub, Subscription};

const HERE: [(&str, &str); 1] = [("Host", "localhost")];

fn streams(hub: &Hub) -> [Subscription; 2] {
    ["/sse", "/sse/console"].map(|path| hub.subscription().prefix(path).header("Host", "localhost"))
}

fn refused(hub: &Hub, reason: &str) -> f64 {
    hub.metrics().labelled("fanfare_refused_total", &format!("\"{reason}\""))
}

#[test]
fn a_stream_too_many_is_told_to_come_back_and_counted_at_events_and_console_alike() {
    for stream in 0..2 {
        let hub = Hub::alone(&["--max-subscribers-per-address", "1"]);
        let _admitted = streams(&hub)[stream].open();
        for times in [1.0, 2.0] {
            let mut one_too_many = streams(&hub)[stream].open();
            assert_eq!(one_too_many.until_closed(), []);
            assert!(!one_too_many.retries.is_empty(), "when to come back is not said");
            assert_eq!(refused(&hub, "address_capacity"), times);
        }
        assert_eq!(hub.metrics().sum("fanfare_refused_total"), 2.0);
    }
}

#[test]
fn a_request_for_a_head_takes_no_seat_at_events_and_console_alike() {
    let hub = Hub::alone(&["--max-subscribers-per-address", "1"]);
    for path in ["/sse/events", "/sse/console/events"] {
        for _ in 0..3 {
            let head = hub.request("HEAD", path, &HERE);
            assert_eq!(head.status, 200, "{path}: {head:?}");
            assert_eq!(head.header("content-type"), Some("text/event-stream"));
        }
    }
    assert_eq!(hub.metrics().sum("fanfare_refused_total"), 0.0);
}

#[test]
fn a_list_or_a_cut_that_is_asked_for_in_vain_is_counted() {
    let hub = Hub::alone(&[]);
    for (counted, (method, query)) in (1..).map(f64::from).zip([
        ("GET", "limit=0"),
        ("GET", "topic=*"),
        ("DELETE", "id=x"),
        ("DELETE", "id=00000000.0-0-0"),
    ]) {
        let answer = hub.request(method, &format!("/sse/subscribers?{query}"), &HERE);
        assert!([404, 422].contains(&answer.status), "{query}: {answer:?}");
        assert_eq!(refused(&hub, "invalid_query"), counted, "{query}");
    }
}
