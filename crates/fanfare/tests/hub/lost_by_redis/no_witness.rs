//! Redis forgets, and those who could vouch for what it had are dead, away, or know less.

use fanfare_testkit::{Proxy, RedisServer};
use rustix::process::Signal;

use super::{await_ready, node, pair};
use crate::support::{Hub, await_that};

/// It is killed, and comes back with what it had when it was last saved.
fn back_to_its_snapshot(redis: &mut RedisServer) {
    redis.restart();
    await_that("it has loaded it", || redis.info("loading") == "0");
}

#[test]
fn who_was_behind_is_told_when_redis_forgets() {
    let mut redis = RedisServer::start(&[]);
    let nodes = [node(&redis.url()), node(&redis.url())];
    let ids = nodes[0].publisher().count("t", 0..50);
    redis.command(&["SAVE"]);
    let lost = nodes[0].publisher().count("t", 50..100);
    let mut live = nodes[1].subscription().query("topic=t").after(&lost[48]).open();
    assert_eq!(live.messages(1), ["99"], "this node has heard of what will be lost");
    redis.kill();
    // Who has not noticed would publish on a dead connection.
    nodes.iter().for_each(|node| await_ready(node, false));
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
fn who_was_behind_is_told_when_all_are_killed() {
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
            // While a sync lasts, Redis answers before it writes.
            await_that("all is written", || redis.info("aof_buffer_length") == "0");
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
fn a_loss_is_told_when_its_only_witness_comes_late() {
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
fn a_deleted_lineage_does_not_repeat_the_first_page() {
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
