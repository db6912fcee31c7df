//! Retention by count, bytes and age, and what the tail hears of it.

use std::time::Duration;

use fanfare_log::EventLog;
use fanfare_testkit::RedisServer;
use tokio::time::sleep;

use crate::ledger::{Ledger, Node, batch, draft, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_its_age_goes_even_from_a_quiet_namespace() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    // Longer than a tail may be held up, shorter than the pause between two looks at the stream.
    settings.retention.age = Duration::from_secs(2);
    let node = Node::with(settings).await;
    let ledger = Ledger::default();
    for n in 0..5 {
        ledger.publish(&node.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    until("all is gone", || server.number(&["XLEN", "{test}:events"]) == 0).await;
    until("the tail is told", || node.tail.trimmed() == ledger.last()).await;
    ledger.publish(&node.log, "a", &["5.0".to_owned()]).await.unwrap();
    assert_eq!(ledger.last().seq, 6, "an empty stream goes on where it was");
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert_eq!(node.tail.begins().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_old_goes() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let first = node.log.append(batch(vec![draft("a", "0.0")])).await.unwrap().first;
    // A past that no one waited for: 1,000 entries, a minute apart, until just now.
    let fill = "local now = redis.call('TIME')[1] \
                for n = 1, 1000 do redis.call('XADD', KEYS[1], ARGV[1], \
                'a', string.format('%.0f', (now - 60 * (1000 - n)) * 1000), 't', 'a', 'm', '1.' .. n) end";
    let epoch = format!("{}-*", first.epoch);
    server.command(&["XTRIM", "{test}:events", "MAXLEN", "0"]);
    server.command(&["EVAL", fill, "1", "{test}:events", &epoch]);
    let script = include_str!("../../src/expire.lua");
    // Half a minute into the 400th from the end.
    let age = (399 * 60 + 30) * 1000;
    let expire = || server.number(&["EVAL", script, "1", "{test}:events", &age.to_string()]);
    assert_eq!(expire(), 600);
    let left = server.command(&["XRANGE", "{test}:events", "-", "+", "COUNT", "1"]);
    assert!(left.ends_with(" 1.601"), "{left}");
    assert_eq!(expire(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn count_and_bytes_bound_the_stream() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    settings.retention.count = 2000;
    settings.retention.bytes = 400_000;
    let node = Node::with(settings).await;
    let publish = || {
        let drafts = (0..50).map(|_| draft("a", "x".repeat(1000))).collect();
        node.log.append(batch(drafts))
    };
    for _ in 0..60 {
        publish().await.unwrap();
    }
    assert!(server.number(&["XLEN", "{test}:events"]) <= 2200, "by count from the first");
    let mut length = i64::MAX;
    while length > 600 {
        publish().await.unwrap();
        length = server.number(&["XLEN", "{test}:events"]);
        sleep(Duration::from_millis(20)).await;
    }
    until("the tail is told", || node.tail.trimmed().seq > 2000).await;
}

/// One large message says nothing of how many small ones there is room for.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_costs_no_small_ones_their_place() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let large = node.log.append(batch(vec![draft("a", "x".repeat(1 << 20))])).await.unwrap();
    node.heard(large.first).await;
    // What is published is sent at once after that: what was measured last holds the large one.
    until("the large one is measured", || node.log.size().is_some_and(|it| it.bytes > 1 << 20))
        .await;
    for n in 0..200 {
        let small = (0..50).map(|part| draft("a", format!("{n}.{part:0100}"))).collect();
        node.log.append(batch(small)).await.unwrap();
    }
    assert_eq!(server.number(&["XLEN", "{test}:events"]), 2 + 200 * 50);
}

/// A stream that is full of large messages gives its room to small ones as they come, not seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn small_messages_take_the_room_of_large_ones() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    settings.retention.bytes = 16 << 20;
    let node = Node::with(settings).await;
    let large = || batch(vec![draft("a", "x".repeat(1 << 20))]);
    let full = |node: &Node| node.log.size().is_some_and(|it| it.bytes > 12 << 20);
    while !full(&node) {
        node.log.append(large()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let mut length = 0;
    for n in 0..400 {
        let small = (0..10).map(|part| draft("a", format!("{n}.{part:0100}"))).collect();
        let last = node.log.append(batch(small)).await.unwrap();
        // Not faster than the node is told of them.
        node.heard(last.first).await;
        length = server.number(&["XLEN", "{test}:events"]);
        if length > 2_000 {
            break;
        }
    }
    assert!(length > 2_000, "of 4,000 there are {length}");
}

/// What was published first says nothing of how much came later.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_bound_large_messages_that_follow_small_ones() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    settings.retention.bytes = 8 << 20;
    let node = Node::with(settings).await;
    for n in 0..40 {
        let small = (0..50).map(|part| draft("a", format!("{n}.{part:0100}"))).collect();
        node.log.append(batch(small)).await.unwrap();
    }
    for _ in 0..40 {
        node.log.append(batch(vec![draft("a", "x".repeat(1 << 20))])).await.unwrap();
    }
    let size = || server.number(&["MEMORY", "USAGE", "{test}:events", "SAMPLES", "0"]);
    // Whole blocks go, of about a hundred entries, but one of these fills a block.
    until("what is too much is gone", || size() <= 12 << 20).await;
}
