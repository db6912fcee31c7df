//! The console shows what is so, to the hub's own machine only, and what an operator does there
//! happens.

use serde_json::{Value, json};

use crate::support::issuer::now;
use crate::support::{Hub, Response, Subscriber};

const HERE: [(&str, &str); 1] = [("Host", "localhost")];

fn console(hub: &Hub) -> Subscriber {
    let console = hub.subscription().prefix("/sse/console").query("last_event_id=earliest");
    console.header("Host", "localhost").open()
}

/// The next statistics of which this holds.
fn until(console: &mut Subscriber, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..60 {
        let stats = serde_json::from_str(&console.next().data).expect("statistics are JSON");
        if condition(&stats) {
            return stats;
        }
    }
    panic!("a minute of statistics without: {what}");
}

fn list(hub: &Hub, query: &str) -> Value {
    let response = hub.request("GET", &format!("/sse/subscribers?{query}"), &HERE);
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn cut(hub: &Hub, id: &str) -> Response {
    hub.request("DELETE", &format!("/sse/subscribers?id={id}"), &HERE)
}

#[test]
fn figures_are_those_of_metrics() {
    let hub = Hub::alone(&[]);
    let mut console = console(&hub);
    // Topics are counted from the first statistics on that are made for somebody.
    let opened = now() * 1e3;
    until(&mut console, "statistics made for it", |stats| stats["at"].as_f64() > Some(opened));
    let _watching: Vec<_> = (0..3).map(|_| hub.subscribe("topic=watched/*")).collect();
    let mut publisher = hub.publisher();
    (0..5).for_each(|n| drop(publisher.send_to("watched/1", &n.to_string())));
    publisher.send("nobody listens");
    hub.subscription().after("nonsense").open().gap("bad_id");
    publisher.post_json("{}");
    // Topics are looked up before the rest is, and a shard that is late is left out of their counts.
    let is_whole = |topic: &Value| topic["more"] == false;
    let stats = until(&mut console, "all that was done", |stats| {
        let topics = stats["topics"].as_array().unwrap();
        stats["deliveries"] == 15
            && stats["closed"]["client_gone"] == 1
            && stats["refused"]["invalid_publish"] == 1
            && topics.len() == 2
            && topics.iter().all(is_whole)
    });

    let metrics = hub.metrics();
    for (figure, metric) in [
        ("subscribers", "fanfare_subscribers"),
        ("max_subscribers", "fanfare_max_subscribers"),
        ("publishes", "fanfare_publishes_total"),
        ("published_bytes", "fanfare_published_bytes_total"),
        ("repeated_publishes", "fanfare_repeated_publishes_total"),
        ("deliveries", "fanfare_deliveries_total"),
        ("delivered_bytes", "fanfare_delivered_bytes_total"),
        ("slowest_lag", "fanfare_slowest_lag_events"),
    ] {
        assert_eq!(stats[figure].as_f64(), Some(metrics.sum(metric)), "{figure}: {stats}");
    }
    for counts in ["gaps", "closed", "refused"] {
        for (reason, count) in stats[counts].as_object().unwrap() {
            let (metric, label) = (format!("fanfare_{counts}_total"), format!("\"{reason}\""));
            assert_eq!(count.as_f64(), Some(metrics.labelled(&metric, &label)), "{reason}");
        }
    }
    assert_eq!(stats["gaps"]["bad_id"], 1);
    assert_eq!(stats["refused"]["invalid_publish"], 1);
    assert_eq!(stats["window"]["events"].as_f64(), Some(metrics.sum("fanfare_window_events")));
    assert!(stats["resident_memory"].as_u64() > Some(1024 * 1024), "{stats}");
    let topics = stats["topics"].as_array().unwrap();
    assert_eq!(topics[0]["topic"], "watched/1", "{stats}");
    assert_eq!((&topics[0]["subscribers"], &topics[0]["more"]), (&json!(3), &json!(false)));
    assert_eq!((&topics[1]["topic"], &topics[1]["subscribers"]), (&json!("default"), &json!(0)));
}

#[test]
fn latencies_are_those_of_the_last_second() {
    let hub = Hub::alone(&[]);
    let mut console = console(&hub);
    hub.publisher().send("one");
    let stats = until(&mut console, "a latency", |stats| !stats["publish_latency"].is_null());
    let latency = &stats["publish_latency"];
    assert!(latency["p50"].as_f64().unwrap() > 0.0, "{stats}");
    assert!(latency["p50"].as_f64() <= latency["max"].as_f64(), "{stats}");
    until(&mut console, "a quiet second", |stats| stats["publish_latency"].is_null());
}

#[test]
fn statistics_do_not_mix_with_what_users_publish() {
    let hub = Hub::alone(&[]);
    let mut user = hub.subscribe("topic=**");
    let mut console = console(&hub);
    until(&mut console, "a second", |stats| stats["uptime"].as_u64() > Some(1));
    let first = hub.publisher().send("mine");
    assert!(first.ends_with("-1"), "{first} is not the first of its log");
    assert_eq!(user.messages(1), ["mine"]);
    assert_eq!(hub.metrics().sum("fanfare_subscribers"), 1.0, "the console counts itself");
}

#[test]
fn a_console_opened_late_has_the_minutes_before() {
    let hub = Hub::alone(&[]);
    let mut early = console(&hub);
    let stats = until(&mut early, "some seconds", |stats| stats["uptime"].as_u64() > Some(2));
    let mut late = console(&hub);
    let first: Value = serde_json::from_str(&late.next().data).unwrap();
    assert!(first["at"].as_u64() < stats["at"].as_u64(), "{first} {stats}");
    assert_eq!(late.last_event_id().split('-').nth(1), Some("1"));
}

#[test]
fn nobody_elsewhere_uses_the_console() {
    let hub = Hub::alone(&[]);
    let kept = hub.subscribe("");
    let id = list(&hub, "")["subscribers"][0]["id"].as_str().unwrap().to_owned();
    for headers in
        [[("Host", "evil.example"), ("Accept", "*/*")], [HERE[0], ("X-Forwarded-For", "192.0.2.1")]]
    {
        for path in ["/sse/console/events", "/sse/subscribers"] {
            let response = hub.request("GET", path, &headers);
            assert_eq!(response.status, 403, "{response:?}");
            assert!(response.json()["detail"].is_string());
        }
        let response = hub.request("DELETE", &format!("/sse/subscribers?id={id}"), &headers);
        assert_eq!(response.status, 403, "{response:?}");
    }
    assert_eq!(hub.metrics().sum("fanfare_subscribers"), 1.0);
    drop(kept);
}

#[test]
fn the_list_names_everyone_once() {
    let hub = Hub::alone(&["--shards", "3"]);
    let _kept: Vec<_> = (0..10).map(|n| hub.subscribe(&format!("topic=room/{n}"))).collect();
    let _all = hub.subscribe("topic=room/*&topic=other");
    hub.await_metrics("all joined", |now| now.sum("fanfare_subscribers") == 11.0);

    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = list(&hub, &format!("limit=2{after}"));
        let subscribers = page["subscribers"].as_array().unwrap();
        assert!(subscribers.len() <= 2, "{page}");
        seen.extend(subscribers.clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let mut ids: Vec<_> = seen.iter().map(|s| s["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((seen.len(), ids.len()), (11, 11), "{seen:?}");
    let mut selectors: Vec<_> = seen.iter().map(|s| s["selectors"].to_string()).collect();
    selectors.sort_unstable();
    assert_eq!(selectors[0], r#"["other","room/*"]"#);
    assert_eq!(selectors[1], r#"["room/0"]"#);
    assert!(seen.iter().all(|s| s["lag"] == 0 && s["blocked"] == false), "{seen:?}");
    assert!(seen.iter().all(|s| s["peer"].as_str().unwrap().starts_with("127.0.0.1:")));

    let of_seven = list(&hub, "topic=room/7");
    assert_eq!(of_seven["subscribers"].as_array().unwrap().len(), 2, "{of_seven}");
    for wrong in ["limit=0", "limit=501", "limit=x", "after=x", "topic=*"] {
        let path = format!("/sse/subscribers?{wrong}");
        let response = hub.request("GET", &path, &HERE);
        assert_eq!(response.status, 422, "{response:?}");
        assert_eq!(response.json()["detail"][0]["loc"][0], "query");
    }
}

#[test]
fn a_cut_ends_that_stream_between_events() {
    let hub = Hub::alone(&["--retry", "100ms"]);
    let mut meant = hub.subscribe("topic=meant");
    let mut other = hub.subscribe("topic=other");
    let listed = list(&hub, "topic=meant");
    let id = listed["subscribers"][0]["id"].as_str().unwrap();
    hub.publisher().send_to("meant", "before");
    // A node may hear of it a moment after its acknowledgement.
    hub.await_metrics("it is delivered", |now| now.sum("fanfare_deliveries_total") == 1.0);

    let response = cut(&hub, id);
    assert_eq!((response.status, response.json()), (200, json!({"status": "subscriber cut"})));
    let events = meant.until_closed();
    assert_eq!(events.iter().map(|e| e.data.as_str()).collect::<Vec<_>>(), ["before"]);
    assert_eq!(meant.retries.len(), 2, "it is told when to come back");
    hub.await_metrics("one closed", |now| now.labelled("fanfare_closed_total", "\"cut\"") == 1.0);
    hub.publisher().send_to("other", "after");
    assert_eq!(other.messages(1), ["after"]);

    let again = cut(&hub, id);
    assert_eq!(again.status, 404, "{again:?}");
    // Another node, or the same before a restart, has ids like these.
    let (node, name) = id.split_once('.').unwrap();
    for unknown in [format!("{node}.99-0-1"), format!("00000000.{name}")] {
        let unknown = cut(&hub, &unknown);
        assert_eq!(unknown.status, 404, "{unknown:?}");
    }
    for (query, kind) in [("id=x", "value_error"), ("", "missing")] {
        let wrong = hub.request("DELETE", &format!("/sse/subscribers?{query}"), &HERE);
        assert_eq!((wrong.status, &wrong.json()["detail"][0]["type"]), (422, &json!(kind)));
    }
}

#[test]
fn the_console_delays_no_shutdown() {
    let mut hub = Hub::alone(&["--drain", "0s"]);
    let mut console = console(&hub);
    until(&mut console, "anything", |_| true);
    hub.terminate();
    console.until_closed();
    assert!(hub.wait().success());
}
