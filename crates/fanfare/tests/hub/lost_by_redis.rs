//! Whatever happens to the Redis of two nodes, or to the nodes, or between them: nobody loses
//! anything in silence, publishers are told what became of their events, and the hub comes back by
//! itself.
//!
//! Invariant: *no silent loss*.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use fanfare_testkit::{Proxy, RedisServer};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Hub, Response, Setup, Traffic, await_that};

fn node(url: &str) -> Hub {
    node_with(url, &[])
}

fn node_with(url: &str, arguments: &[&str]) -> Hub {
    Setup::new(&[&["--redis", url, "--heartbeat", "200ms"], arguments].concat()).own_log().start()
}

/// Two nodes, and what they share.
fn pair(options: &[&str]) -> (RedisServer, [Hub; 2]) {
    let redis = RedisServer::start(options);
    let nodes = [node(&redis.url()), node(&redis.url())];
    (redis, nodes)
}

fn await_ready(node: &Hub, ready: bool) {
    node.await_metrics("readiness", |now| now.sum("fanfare_ready") == f64::from(u8::from(ready)));
}

/// Why a node says that it is not ready.
fn unready(node: &Hub) -> String {
    let answer = node.get("/readyz");
    assert_eq!(answer.status, 503, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["status"], "not ready");
    answer["reason"].as_str().expect("it says why").to_owned()
}

/// The messages that are left.
fn left(redis: &RedisServer) -> HashSet<String> {
    let all = redis.command(&["XRANGE", "{fanfare}:events", "-", "+"]);
    all.split(' ').map(str::to_owned).collect()
}

fn post(node: &Hub, message: &str) -> Response {
    node.publisher().post_json(json!({ "message": message }).to_string())
}

#[test]
fn what_too_few_replicas_have_is_acknowledged() {
    let redis = RedisServer::start(&[]);
    let nodes = [(); 2].map(|()| node_with(&redis.url(), &["--redis-wait-replicas", "1"]));
    let publish_at = |node: &Hub, message: &str| {
        let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", message)];
        node.publisher().post(&keyed, json!({ "message": message }).to_string())
    };
    let publish = || publish_at(&nodes[0], "copied");
    let alone = publish();
    assert_eq!(alone.status, 503, "{}", alone.text());
    assert!(alone.text().contains("not enough replicas have it yet"), "{}", alone.text());

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
fn nodes_are_killed_one_after_the_other() {
    let (redis, mut nodes) = pair(&[]);
    let traffic = Traffic::begin(&[&nodes[0], &nodes[1]]);
    for round in 0..6 {
        let killed = round % 2;
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
fn redis_is_killed_and_has_synced_every_write() {
    let (_redis, traffic, _nodes) = killed(&["--appendonly", "yes", "--appendfsync", "always"]);
    traffic.end(|_| true).assert_no_gap();
}

#[test]
fn redis_is_killed_and_has_synced_every_second() {
    let (redis, traffic, _nodes) = killed(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let left = left(&redis);
    traffic.end(|message| left.contains(message) || message == "end");
}

#[test]
fn redis_is_killed_and_has_nothing_on_disk() {
    let (_redis, traffic, _nodes) = killed(&[]);
    let outcome = traffic.end(|_| true);
    outcome.assert_gaps(&["unknown_epoch", "engine_lost_writes"]);
    assert!(outcome.refusals.iter().all(|refusal| refusal.status == 503));
}

/// It is killed, and comes back with what it had when it was last saved.
fn back_to_its_snapshot(redis: &mut RedisServer) {
    redis.restart();
    await_that("it has loaded it", || redis.info("loading") == "0");
}

#[test]
fn redis_forgets_and_who_was_behind_is_not_told() {
    let mut redis = RedisServer::start(&[]);
    let nodes = [node(&redis.url()), node(&redis.url())];
    let ids = nodes[0].publisher().count("t", 0..50);
    redis.command(&["SAVE"]);
    let lost = nodes[0].publisher().count("t", 50..100);
    let mut live = nodes[1].subscription().query("topic=t").after(&lost[48]).open();
    assert_eq!(live.messages(1), ["99"], "this node has heard of what will be lost");
    back_to_its_snapshot(&mut redis);
    nodes.iter().for_each(|node| await_ready(node, true));
    live.gap("engine_lost_writes");
    nodes[0].publisher().send_to("t", "after");

    let late = node(&redis.url());
    let [one, two] = &nodes;
    for node in [one, two, &late] {
        for (last, missed) in [(&ids[40], 9), (&ids[49], 0), (&lost[0], 0), (&lost[49], 0)] {
            let mut back = node.subscription().query("topic=t").after(last).open();
            assert_eq!(back.messages(missed).len(), missed, "what is left comes first");
            back.gap("engine_lost_writes");
            // Who had received some of it may be told twice: of its id, and of the loss it crosses.
            let next = std::iter::repeat_with(|| back.next()).find(|event| !event.is_gap());
            assert_eq!(next.unwrap().data, "after");
        }
        // Whoever has nothing yet is promised nothing but all there is.
        let mut all = node.subscription().query("topic=t").after("earliest").open();
        assert_eq!(all.messages(50).len(), 50);
    }
}

#[test]
fn redis_and_all_nodes_are_killed_and_who_was_behind_is_not_told() {
    let every_second = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let always = ["--appendonly", "yes", "--appendfsync", "always"];
    for (options, restarts, is_told) in [
        (every_second, true, true),
        // What is known to be whole is not feared for.
        (always, true, false),
        (every_second, false, false),
    ] {
        let (mut redis, mut nodes) = pair(&options);
        let ids = nodes[0].publisher().count("t", 0..20);
        for node in &mut nodes {
            node.signal(Signal::KILL);
            node.wait();
        }
        if restarts {
            redis.restart();
            await_that("it has loaded what it kept", || redis.info("loading") == "0");
        }
        let nodes = [node(&redis.url()), node(&redis.url())];
        nodes[0].publisher().send_to("t", "after");
        for (last, missed) in [(&ids[10], 9), (&ids[19], 0)] {
            for node in &nodes {
                let mut back = node.subscription().query("topic=t").after(last).open();
                assert_eq!(back.messages(missed).len(), missed, "what is left comes first");
                if is_told {
                    back.gap("engine_lost_writes");
                }
                assert_eq!(back.next().data, "after", "{options:?}, restarts: {restarts}");
            }
        }
    }
}

#[test]
fn the_only_node_that_knows_of_a_loss_comes_late() {
    let mut redis = RedisServer::start(&[]);
    let ways = [Proxy::to(redis.port()), Proxy::to(redis.port())];
    let [way, other_way] = &ways;
    let (knowing, other) = (node(&way.url()), node(&other_way.url()));
    let ids = knowing.publisher().count("t", 0..50);
    let mut heard = other.subscription().query("topic=t").after(&ids[48]).open();
    assert_eq!(heard.messages(1), ["49"]);
    redis.command(&["SAVE"]);
    // Nobody listens at port 1.
    other_way.redirect(1);
    await_ready(&other, false);
    knowing.publisher().count("t", 50..100);
    way.redirect(1);
    await_ready(&knowing, false);
    back_to_its_snapshot(&mut redis);

    // Those who are there now have heard of all that is left, know of nothing more, and go on.
    other_way.redirect(redis.port());
    await_ready(&other, true);
    let nodes = [other, node(&redis.url())];
    let crossed = nodes[0].publisher().send_to("t", "across");
    let mut live = nodes[1].subscription().query("topic=t").after(&ids[40]).open();
    assert_eq!(live.messages(9).len(), 9);
    assert_eq!(live.next().id, crossed);
    let mut away = nodes[0].subscription().query("topic=t").after(&ids[49]).open();
    assert_eq!(away.next().id, crossed);
    drop(away);

    way.redirect(redis.port());
    await_ready(&knowing, true);
    live.gap("engine_lost_writes");
    for node in [&nodes[0], &nodes[1], &knowing] {
        // Also whoever had crossed and is away just then.
        node.subscription().query("topic=t").after(&crossed).open().gap("engine_lost_writes");
        let mut behind = node.subscription().query("topic=t").after(&ids[48]).open();
        assert_eq!(behind.messages(1), ["49"]);
        behind.gap("engine_lost_writes");
    }
}

#[test]
fn the_lineage_is_deleted_and_the_first_page_comes_again_and_again() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut published = 0;
    for _ in 0..2 {
        // More than a page.
        let before = node(&redis.url());
        before.publisher().count("t", published..published + 600);
        published += 600;
        drop(before);
        redis.restart();
        await_that("it has loaded it", || redis.info("loading") == "0");
    }
    redis.command(&["DEL", "{fanfare}:lineage"]);
    let late = node(&redis.url());
    let read = |late: &Hub, first: u64| {
        let mut reader = late.subscription().query("topic=t").after("earliest").open();
        for number in first..published {
            assert_eq!(reader.next().data.trim_end(), number.to_string());
        }
    };
    // The stream's own markers lead back.
    read(&late, 0);
    drop(late);

    let entries = redis.command(&["XRANGE", "{fanfare}:events", "-", "+"]);
    let markers: Vec<_> = entries.split(' ').filter(|word| word.ends_with("-0")).collect();
    // The second epoch does not say any longer where the first ended.
    redis.command(&["XDEL", "{fanfare}:events", markers[1]]);
    redis.command(&["DEL", "{fanfare}:lineage"]);
    let late = node(&redis.url());
    read(&late, 600);
    let forgotten = markers[0].replace("-0", "-7");
    late.subscription().query("topic=t").after(&forgotten).open().gap("unknown_epoch");
}

#[test]
fn a_node_an_hour_ahead_trims_what_is_young() {
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

#[test]
fn everything_is_flushed_under_load() {
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
fn everything_is_flushed_while_nobody_looks() {
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
fn redis_stands_still_for_three_seconds() {
    standstill(Duration::from_secs(3));
}

#[test]
fn redis_stands_still_for_half_a_minute() {
    standstill(Duration::from_secs(30));
}

#[test]
fn a_replica_that_missed_writes_takes_over() {
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
fn redis_has_no_memory_left() {
    let limit = |redis: &RedisServer, bytes| {
        redis.command(&["CONFIG", "SET", "maxmemory", bytes]);
    };
    full(&[], |redis| limit(redis, "1"), "OOM", |redis| limit(redis, "0"));
}

#[test]
fn redis_has_no_disk_left() {
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
fn the_way_to_redis_is_slow() {
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
fn a_stalled_node_is_overtaken_by_retention() {
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
fn a_publish_whose_outcome_is_unknown_is_repeated() {
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
fn a_node_does_not_hear_what_it_says() {
    let redis = RedisServer::start(&[]);
    let way = Proxy::to(redis.port());
    let node = node(&way.url());
    let mut subscriber = node.subscribe("");
    assert_eq!(node.get("/readyz").status, 200);
    // The first connection is the one it hears on.
    way.stall_first();
    let id = node.publisher().send("into the void");
    // Either it misses its own event, or it has found that the connection is dead.
    await_that("it is not ready", || node.get("/readyz").status == 503);
    await_ready(&node, true);
    assert_eq!(subscriber.next().id, id, "nothing was lost meanwhile");
}

#[test]
fn a_client_is_ahead_of_a_node_that_is_cut_off() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let way = Proxy::to(redis.port());
    let nodes = [node(&redis.url()), node(&way.url())];
    for restarts in [false, true] {
        // Nobody listens at port 1.
        way.redirect(1);
        await_ready(&nodes[1], false);
        if restarts {
            redis.restart();
            await_ready(&nodes[0], false);
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
