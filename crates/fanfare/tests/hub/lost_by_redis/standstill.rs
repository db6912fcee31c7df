//! Redis stands still, is full, is slow or has another clock, or a node is cut off from it: nothing is lost.

use std::thread;
use std::time::Duration;

use fanfare_testkit::{Proxy, RedisServer};
use serde_json::json;

use super::{await_ready, node, node_with, pair, post, unready};
use crate::support::{Hub, Setup, Traffic, await_that};

#[test]
fn a_node_an_hour_ahead_trims_nothing_young() {
    let redis = RedisServer::start(&[]);
    let retained = ["--retain-age", "30m"];
    let one = node_with(&redis.url(), &retained);
    one.publisher().send("by-a-clock-that-is-right");
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    let url = redis.url();
    let arguments = [&["--redis", &url, "--heartbeat", "200ms"][..], &retained].concat();
    let ahead = Setup::new(&arguments).own_log().variable("LD_PRELOAD", library);
    let ahead =
        ahead.variable("FAKETIME", "+1h").variable("FAKETIME_DONT_FAKE_MONOTONIC", "1").start();
    ahead.publisher().send("by-one-that-is-not");
    // It has looked after the log, which includes its age.
    ahead.await_metrics("it has measured", |now| now.sum("fanfare_log_events") >= 1.0);
    let entries = redis.command(&["XRANGE", "{fanfare}:events", "-", "+"]);
    assert!(entries.contains("by-a-clock-that-is-right"), "{entries}");
    let now: u64 = redis.command(&["TIME"]).split(' ').next().unwrap().parse().unwrap();
    let words: Vec<_> = entries.split(' ').collect();
    let dates = words.windows(2).filter(|pair| pair[0] == "a").map(|pair| pair[1].parse::<u64>());
    let ages: Vec<_> = dates.map(|at| now.abs_diff(at.unwrap() / 1000)).collect();
    assert!(ages.len() >= 3 && ages.iter().all(|age| *age < 600), "{ages:?} in {entries}");
}

/// Redis stands still for so long, while its connections stay open.
fn standstill(length: Duration) {
    let (redis, nodes) = pair(&[]);
    let mut idle = nodes[1].subscription().query("topic=quiet").open();
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    redis.stop();
    let begun = std::time::Instant::now();
    traffic.refused();
    for node in &nodes {
        await_ready(node, false);
        let reason = unready(node);
        assert!(reason.contains("no connection"), "{reason}");
        assert!(reason.contains("did not answer") || reason.contains("no answer"), "{reason}");
    }
    // The fault itself takes its time; what is awaited does not.
    thread::sleep(length.saturating_sub(begun.elapsed()));
    redis.go_on();
    nodes.iter().for_each(|node| await_ready(node, true));
    traffic.flow();
    let outcome = traffic.end(|_| true);
    outcome.assert_no_gap();
    let said = |part: &str| outcome.refusals.iter().any(|refusal| refusal.detail.contains(part));
    assert!(said("the outcome is unknown"), "{:?}", outcome.refusals);
    assert!(outcome.refusals.iter().all(|refusal| refusal.status == 503));
    // The stream was never closed, and never silent.
    nodes[0].publisher().send_to("quiet", "still here");
    assert_eq!(idle.next().data, "still here");
    assert!(idle.comments as u128 >= length.as_millis() / 1000, "{} keepalives", idle.comments);
}

#[test]
fn redis_may_stop_for_three_seconds() {
    standstill(Duration::from_secs(3));
}

#[test]
fn redis_may_stop_for_half_a_minute() {
    standstill(Duration::from_secs(30));
}

/// Redis has no room for a while, and says so in these words.
fn full(options: &[&str], fill: impl Fn(&RedisServer), said: &str, relieve: impl Fn(&RedisServer)) {
    let (redis, nodes) = pair(options);
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    let earliest = || nodes[1].subscription().query("topic=t").after("earliest").open().next().data;
    let first = earliest();
    fill(&redis);
    traffic.refused();
    for node in &nodes {
        let refused = post(node, "more");
        assert_eq!(refused.status, 507, "{refused:?}");
        assert!(refused.header("retry-after").is_some());
        assert!(unready(node).contains(said), "{}", unready(node));
    }
    assert_eq!(earliest(), first, "reading goes on");
    relieve(&redis);
    nodes.iter().for_each(|node| await_ready(node, true));
    traffic.flow();
    let outcome = traffic.end(|_| true);
    outcome.assert_no_gap();
    assert!(outcome.refusals.iter().all(|refusal| refusal.status == 507));
}

#[test]
fn a_full_memory_loses_nothing() {
    let limit = |redis: &RedisServer, bytes| {
        redis.command(&["CONFIG", "SET", "maxmemory", bytes]);
    };
    full(&[], |redis| limit(redis, "1"), "OOM", |redis| limit(redis, "0"));
}

#[test]
fn a_full_disk_loses_nothing() {
    let fill = |redis: &RedisServer| {
        // Where it writes next is where nothing can be written.
        let next = redis.directory().join("appendonlydir/appendonly.aof.2.incr.aof");
        std::os::unix::fs::symlink("/dev/full", next).unwrap();
        redis.command(&["BGREWRITEAOF"]);
    };
    // It begins another file once more.
    let relieve = |redis: &RedisServer| {
        await_that("it has begun", || redis.info("aof_rewrite_in_progress") == "0");
        redis.command(&["BGREWRITEAOF"]);
    };
    full(&["--appendonly", "yes"], fill, "No space left on device", relieve);
}

#[test]
fn a_slow_link_loses_nothing() {
    let redis = RedisServer::start(&[]);
    let way = Proxy::to(redis.port());
    let nodes = [node(&redis.url()), node(&way.url())];
    way.throttle(100_000);
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    (0..3).for_each(|_| traffic.flow());
    way.throttle(0);
    traffic.flow();
    traffic.end(|_| true).assert_no_gap();
}

#[test]
fn a_stalled_node_tells_what_was_trimmed() {
    let redis = RedisServer::start(&[]);
    let way = Proxy::to(redis.port());
    let small = ["--retain-count", "200"];
    let nodes = [node_with(&redis.url(), &small), node_with(&way.url(), &small)];
    let mut subscribers = nodes.each_ref().map(|node| node.subscribe(""));
    nodes[0].publisher().send("first");
    subscribers.iter_mut().for_each(|subscriber| assert_eq!(subscriber.next().data, "first"));
    way.stall(true);
    let mut publisher = nodes[0].publisher();
    for batch in 0..40 {
        publisher.batch((0..100).map(|n| json!({ "message": format!("{batch}.{n}") })));
        assert_eq!(subscribers[0].messages(100).len(), 100, "the others miss nothing");
    }
    way.stall(false);
    // What was on its way comes first.
    let gap = std::iter::repeat_with(|| subscribers[1].next()).find(|event| event.is_gap());
    assert!(gap.is_some_and(|gap| gap.data.contains("trimmed")));
    publisher.send("last");
    let rest = subscribers[1].until("last");
    assert!(rest.iter().all(|event| !event.is_gap()), "{rest:?}");
    assert_eq!(rest.last().map(|event| event.data.as_str()), Some("39.99"));
    assert_eq!(subscribers[0].next().data, "last");
}

#[test]
fn a_repeat_after_an_unknown_outcome_publishes_once() {
    let (redis, nodes) = pair(&[]);
    let mut subscriber = nodes[1].subscribe("");
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    let publish = |node: &Hub| node.publisher().post(&keyed, r#"{"message": "once"}"#);
    redis.stop();
    let unknown = publish(&nodes[0]);
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert!(unknown.header("retry-after").is_some());
    let detail = unknown.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the outcome is unknown"), "{detail}");
    redis.go_on();
    // What the stopped server had in its socket was executed when it went on.
    let mut answers = Vec::new();
    await_that("it is answered", || {
        answers = nodes.iter().map(publish).collect();
        answers.iter().all(|answer| answer.status == 200)
    });
    assert_eq!(answers[0].json()["id"], answers[1].json()["id"]);
    nodes[1].publisher().send("and on");
    assert_eq!(subscriber.messages(2), ["once", "and on"]);
}

#[test]
fn a_node_missing_its_events_is_unready() {
    let redis = RedisServer::start(&[]);
    let way = Proxy::to(redis.port());
    let node = node(&way.url());
    let mut subscriber = node.subscribe("");
    assert_eq!(node.get("/readyz").status, 200);
    // The first connection is the one it hears on.
    way.stall_first();
    // Nobody listens at port 1, so that no new connection is made before the node was seen to be unready.
    way.redirect_to_port(1);
    let id = node.publisher().send("into the void");
    // Either it misses its own event, or it has found that the connection is dead.
    await_that("it is not ready", || node.get("/readyz").status == 503);
    way.redirect_to_port(redis.port());
    await_ready(&node, true);
    assert_eq!(subscriber.next().id, id, "nothing was lost meanwhile");
}

#[test]
fn a_client_ahead_of_a_cut_off_node_comes_back() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let way = Proxy::to(redis.port());
    let nodes = [node(&redis.url()), node(&way.url())];
    for restarts in [false, true] {
        // Nobody listens at port 1.
        way.redirect(1);
        await_ready(&nodes[1], false);
        if restarts {
            redis.kill();
            await_ready(&nodes[0], false);
            redis.restart();
            await_ready(&nodes[0], true);
        }
        let id = nodes[0].publisher().send("known to one");
        let subscription = nodes[1].subscription().after(&id);
        let mut early = subscription.open();
        assert_eq!(early.until_closed(), [], "a gap where nothing was lost, or all of it again");
        assert!(!early.retries.is_empty(), "it is told when to come back");
        way.redirect(redis.port());
        await_ready(&nodes[1], true);
        let mut back = subscription.open();
        nodes[0].publisher().send("known to both");
        assert_eq!(back.messages(1), ["known to both"]);
    }
}
