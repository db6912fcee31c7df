//! A process forgets what the one before it knew beside its streams: who may come, who has had enough, what
//! was counted.

use fanfare_testkit::RedisServer;
use serde_json::json;

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Hub, Metrics, Setup, await_that};

fn hub(arguments: &[&str]) -> Hub {
    Setup::new(arguments).own_log().alone().start()
}

fn draw(hub: &Hub) -> String {
    let holder = bearer(&token(&claims("ada", 600.0, &json!({"subscribe": ["**"]}))));
    let answer = hub.connect().request("POST", "/sse/ticket", &[("Authorization", &*holder)], b"");
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

#[test]
fn a_ticket_of_the_old_process_is_good_once() {
    let mut hub = hub(&["--jwt-secret", SECRET, "--drain", "0s"]);
    let [used, kept] = [draw(&hub), draw(&hub)];
    let ask = |hub: &Hub, ticket: &str| {
        let query = format!("topic=**&ticket={ticket}");
        hub.subscription().query(&query).ask().0.status
    };
    assert_eq!(ask(&hub, &used), 200);
    hub.upgrade();
    assert_eq!(ask(&hub, &kept), 200);
    assert_eq!((ask(&hub, &used), ask(&hub, &kept)), (401, 401));
}

#[test]
fn a_used_up_rate_stays_used_up_after_an_upgrade() {
    let mut hub = hub(&["--publish-rate", "1"]);
    // Two thousand seconds' worth at once.
    let batch = vec![r#"{"message": "a"}"#; 2000].join("\n");
    let mut publisher = hub.publisher();
    let headers = [("Content-Type", "application/x-ndjson")];
    assert_eq!(publisher.post(&headers, &batch).status, 200);
    hub.upgrade();
    let refused = hub.publisher().post(&headers, r#"{"message": "a"}"#);
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1000..2000).contains(&wait), "{wait}");
}

#[test]
fn counters_go_on_across_an_upgrade() {
    const COUNTERS: [&str; 6] = [
        "fanfare_publishes_total",
        "fanfare_published_bytes_total",
        "fanfare_deliveries_total",
        "fanfare_refused_total",
        "fanfare_publish_duration_seconds_count",
        "fanfare_upgrades_total",
    ];
    let mut hub = hub(&[]);
    let mut subscriber = hub.subscribe("");
    for number in 0..3_u64 {
        hub.publisher().send(&number.to_string());
        assert_eq!(hub.publisher().post_json("{").status, 422);
        assert_eq!(subscriber.messages(1), [number.to_string()]);
        let expected = [number + 1, number + 1, number + 1, number + 1, number + 1, number];
        let counted = |now: &Metrics| COUNTERS.map(|name| now.sum(name) as u64);
        hub.await_metrics("everything is counted", |now| counted(now) == expected);
        hub.upgrade();
    }
}

#[test]
fn a_node_keeps_its_identity_across_an_upgrade() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let mut hub = hub(&["--redis", &url]);
    let listed = || redis.command(&["HKEYS", "{fanfare}:nodes"]);
    await_that("the node is listed", || !listed().trim().is_empty());
    let before = listed();
    hub.upgrade();
    // Whoever lists itself from now on is the new process.
    redis.command(&["DEL", "{fanfare}:nodes"]);
    await_that("the node is listed again", || !listed().trim().is_empty());
    assert_eq!(listed(), before);
}
