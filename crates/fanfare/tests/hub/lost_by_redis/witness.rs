//! Redis or a node is killed, flushed or replaced while a node lives on that has heard what is lost.

use fanfare_testkit::{Proxy, RedisServer};
use rustix::process::Signal;
use serde_json::json;

use super::{await_ready, left, node, node_with, pair};
use crate::support::{Hub, Traffic, await_that};

#[test]
fn what_too_few_replicas_have_is_not_acknowledged() {
    let redis = RedisServer::start(&[]);
    let nodes = [(); 2].map(|()| node_with(&redis.url(), &["--redis-wait-replicas", "1"]));
    let publish_at = |node: &Hub, message: &str| {
        let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", message)];
        node.publisher().post(&keyed, json!({ "message": message }).to_string())
    };
    let publish = || publish_at(&nodes[0], "copied");
    // Where Redis is slow to say so, the time is up first.
    await_that("it says that replicas are missing", || {
        let alone = publish();
        assert_eq!(alone.status, 503, "{}", alone.text());
        alone.text().contains("not enough replicas have it yet")
    });

    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", redis.port())]);
    await_that("the replica is in step", || replica.info("master_link_status") == "up");
    await_that("it is copied", || publish().status == 200);
    let copies = |redis: &RedisServer| {
        redis.command(&["XRANGE", "{fanfare}:events", "-", "+"]).matches("copied").count()
    };
    assert_eq!((copies(&redis), copies(&replica)), (1, 1));
    // Newer servers look no further back than a connection's last write, so there is one.
    assert_eq!(replica.number(&["EXISTS", "{fanfare}:waited"]), 1);

    // Nor is it when repeated at another node, which has written nothing since.
    await_that("both wait on the replica", || publish_at(&nodes[1], "other").status == 200);
    replica.stop();
    for node in &nodes {
        assert_eq!(publish_at(node, "late").status, 503);
    }
    replica.go_on();
    await_that("it is copied late", || publish_at(&nodes[1], "late").status == 200);
}

#[test]
fn nothing_is_lost_when_nodes_are_killed() {
    let (redis, mut nodes) = pair(&[]);
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    for round in 0..6 {
        let killed = round % 2;
        // Its port may be another hub's as soon as it is dead.
        traffic.moved(killed, nodes[1 - killed].address());
        nodes[killed].signal(Signal::KILL);
        nodes[killed].wait();
        // Whoever was there is at the other one.
        traffic.flow();
        nodes[killed] = node(&redis.url());
        traffic.moved(killed, nodes[killed].address());
        traffic.flow();
    }
    traffic.end(|_| true).assert_no_gap();
}

/// Redis is killed under load and comes back with what it had on disk.
fn killed(options: &[&str]) -> (RedisServer, Traffic, [Hub; 2]) {
    let (mut redis, nodes) = pair(options);
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    redis.kill();
    traffic.refused();
    nodes.iter().for_each(|node| await_ready(node, false));
    redis.restart();
    nodes.iter().for_each(|node| await_ready(node, true));
    traffic.flow();
    (redis, traffic, nodes)
}

#[test]
fn nothing_is_lost_when_every_write_is_synced() {
    let (_redis, traffic, _nodes) = killed(&["--appendonly", "yes", "--appendfsync", "always"]);
    traffic.end(|_| true).assert_no_gap();
}

#[test]
fn a_loss_is_told_where_redis_syncs_every_second() {
    let (redis, traffic, _nodes) = killed(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let left = left(&redis);
    traffic.end(|message| left.contains(message) || message == "end");
}

#[test]
fn a_loss_is_told_where_nothing_is_on_disk() {
    let (_redis, traffic, _nodes) = killed(&[]);
    let outcome = traffic.end(|_| true);
    outcome.assert_gaps(&["unknown_epoch", "engine_lost_writes"]);
    assert!(outcome.refusals.iter().all(|refusal| refusal.status == 503));
}

#[test]
fn a_flush_under_load_is_told() {
    let (redis, nodes) = pair(&[]);
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    for _ in 0..3 {
        redis.command(&["FLUSHALL"]);
        traffic.flow();
    }
    traffic.end(|_| true).assert_gaps(&["unknown_epoch", "engine_lost_writes", "trimmed"]);
    nodes.iter().for_each(|node| await_ready(node, true));
}

#[test]
fn a_flush_nobody_watched_is_told() {
    let (redis, nodes) = pair(&[]);
    let before = nodes[0].publisher().send("before");
    let mut live = nodes[1].subscription().after(&before).open();
    redis.command(&["FLUSHALL"]);
    live.gap("engine_lost_writes");
    let mut back = nodes.each_ref().map(|node| node.subscription().after(&before).open());
    // One node may notice later than the other: its client then hears of it on the stream.
    back.iter_mut().for_each(|back| assert!(back.next().is_gap()));
    let id = nodes[0].publisher().send("after");
    for subscriber in back.iter_mut().chain([&mut live]) {
        let event = subscriber.next();
        assert_eq!((event.data.as_str(), &event.id), ("after", &id));
    }
}

#[test]
fn what_a_replica_missed_is_told_after_failover() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let ways = [Proxy::to(master.port()), Proxy::to(master.port())];
    let nodes = ways.each_ref().map(|way| node(&way.url()));
    await_that("the replica is in step", || replica.info("master_link_status") == "up");
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    // The partition: the replica goes its own way, the old master still takes publishes.
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    traffic.flow();
    ways.iter().for_each(|way| way.redirect(replica.port()));
    // Positions that are given out twice would fail the ledger.
    traffic.flow();
    nodes.iter().for_each(|node| await_ready(node, true));
    let left = left(&replica);
    let outcome = traffic.end(|message| left.contains(message) || message == "end");
    let told = outcome.gaps.iter().flatten().filter(|reason| *reason == "engine_lost_writes");
    assert!(told.count() > 0, "all had received what was lost: {:?}", outcome.gaps);
}
