//! A hub that has just started makes everyone who returns read its log.

use fanfare_testkit::RedisServer;
use serde_json::json;

use crate::support::{Hub, Setup};

/// Of what is asked for by an id from before the last start, how much was read from the log.
fn pages_read(start: impl Fn() -> Hub) -> f64 {
    let mut hub = start();
    let mut publisher = hub.publisher();
    let first = publisher.send("0");
    publisher.batch((1..200).map(|n| json!({ "message": n.to_string() })));
    let mut reader = hub.subscription().after(&first).open();
    let expected: Vec<_> = (1..200).map(|n| n.to_string()).collect();
    assert_eq!(reader.messages(199), expected);
    hub.terminate();
    hub.wait();
    let hub = start();
    let metrics = hub.metrics();
    assert_eq!(metrics.sum("fanfare_window_events"), 200.0, "{metrics:?}");
    for _ in 0..5 {
        let mut back = hub.subscription().after(&first).open();
        assert_eq!(back.messages(199), expected);
    }
    hub.publisher().send("200");
    let mut everything = hub.subscription().after(&first).open();
    assert_eq!(everything.messages(200).last().unwrap(), "200", "history and live without a seam");
    hub.metrics().sum("fanfare_catchup_pages_total")
}

#[test]
fn returning_to_a_restarted_hub_reads_no_disk() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let start = || Setup::new(&["--data", &data, "--drain", "0s"]).own_log().alone().start();
    assert_eq!(pages_read(start), 0.0);
}

#[test]
fn returning_to_a_restarted_node_asks_no_redis() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let start = || Setup::new(&["--redis", &url, "--drain", "0s"]).own_log().alone().start();
    assert_eq!(pages_read(start), 0.0);
}
