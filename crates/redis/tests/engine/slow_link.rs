//! A link slower than a page or even one message may take: less is asked for, longer waited.

use std::time::Duration;

use fanfare_event::{Position, Selector};
use fanfare_log::{EventLog, Page, PageLimit, ReadFrom};
use fanfare_testkit::{Proxy, RedisServer};
use tokio::time::timeout;

use crate::ledger::{Ledger, Node, TEST_TIMEOUT, Told, batch, draft, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_over_a_slow_link() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let (fast, slow) = (Node::connect(&server.url()).await, Node::connect(&proxy.url()).await);
    proxy.throttle(200_000);
    let ledger = Ledger::default();
    for n in 0..40 {
        let messages: Vec<_> = (0..10).map(|part| format!("{n}.{part:0100}")).collect();
        ledger.publish(&fast.log, "a", &messages).await.unwrap();
    }
    slow.heard(ledger.last()).await;
    ledger.judge(&slow.tail);
    assert_eq!(slow.tail.begins().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_slower_than_all_patience_arrives_in_the_end() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let mut impatient = settings(&proxy.url());
    impatient.response_timeout = Duration::from_millis(500);
    let (fast, slow) = (Node::connect(&server.url()).await, Node::with(impatient).await);
    proxy.throttle(150_000);
    let appended = fast.log.append(batch(vec![draft("a", "x".repeat(400_000))])).await.unwrap();
    until("it arrives", || slow.tail.heard() >= appended.first).await;
    assert_eq!(slow.tail.begins().len(), 1);
}

/// What was published lately says nothing of how large what was published before is.
#[tokio::test(flavor = "multi_thread")]
async fn large_messages_arrive_though_the_latest_are_small() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let mut hurried = settings(&proxy.url());
    // Half of what all that is large takes.
    hurried.read_deadline = Duration::from_secs(3);
    let (fast, slow) = (Node::connect(&server.url()).await, Node::with(hurried).await);
    let ledger = Ledger::default();
    for n in 0..60 {
        let large = format!("{n}.{}", "x".repeat(100_000));
        ledger.publish(&fast.log, "a", &[large]).await.unwrap();
    }
    for n in 0..40 {
        let small: Vec<_> = (0..50).map(|part| format!("{n}.{part}")).collect();
        ledger.publish(&fast.log, "a", &small).await.unwrap();
    }
    slow.heard(ledger.last()).await;
    proxy.throttle(1_000_000);
    let (log, last) = (slow.log.clone(), ledger.last());
    let read = tokio::task::spawn_blocking(move || {
        let everything = Selector::parse(["**"], []).unwrap();
        let (mut from, mut messages) = (ReadFrom::Earliest, 0);
        while from != ReadFrom::After(last) {
            let limit = PageLimit { events: 1000, bytes: 256 << 10 };
            let page = log.read(from, last, &everything, limit).unwrap();
            assert_eq!(page.trimmed, None);
            assert!(page.next > Position::ORIGIN);
            messages += page.events.len();
            from = ReadFrom::After(page.next);
        }
        messages
    });
    assert_eq!(read.await.unwrap(), 60 + 40 * 50);
}

/// What comes is bounded by what it may weigh, not by what the latest weighed.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_asks_for_no_more_than_it_has_room_for() {
    let server = RedisServer::start(&[]);
    let way = Proxy::to(server.port());
    let (away, busy) = (Node::connect(&way.url()).await, Node::connect(&server.url()).await);
    // Nobody listens at port 1.
    way.redirect(1);
    until("it is cut off", || away.log.ready().is_err()).await;
    let mut last = Position::ORIGIN;
    for _ in 0..100 {
        let large = batch(vec![draft("a", "x".repeat(1 << 20))]);
        last = busy.log.append(large).await.unwrap().first;
    }
    way.redirect(server.port());
    away.heard(last).await;
    for told in away.tail.told() {
        let Told::Events(events) = told else { continue };
        assert!(events.len() <= 64, "{} MiB in one answer", events.len());
    }
}

/// A reader too asks for what it can use, and keeps no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_what_it_holds() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let start = node.tail.heard();
    let mut last = node.log.append(batch(vec![draft("a", "small")])).await.unwrap().first;
    for _ in 0..64 {
        let large = batch(vec![draft("a", "x".repeat(1 << 20))]);
        last = node.log.append(large).await.unwrap().first;
    }
    node.heard(last).await;
    let sent = || server.info("total_net_output_bytes").parse::<u64>().unwrap();
    let before = sent();
    let page = read(&node, ReadFrom::After(start), last).await;
    assert_eq!(page.events.len(), 1, "the next one is too large for it");
    let took = sent() - before;
    assert!(took < 16 << 20, "{took} bytes for a page of {} bytes", PAGE.bytes);
}

/// What was published last says nothing of how many entries fit into a page.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_holds_many_events_after_a_large_one() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let start = node.tail.heard();
    let small = (0..500).map(|n| draft("a", format!("{n}"))).collect();
    node.log.append(batch(small)).await.unwrap();
    let large = node.log.append(batch(vec![draft("a", "x".repeat(1 << 20))])).await.unwrap().first;
    node.heard(large).await;
    let page = read(&node, ReadFrom::After(start), large).await;
    assert_eq!(page.events.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_knows_all_only_once_it_has_heard_it() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let (fast, slow) = (Node::connect(&server.url()).await, Node::connect(&proxy.url()).await);
    // Several pages of this take several seconds.
    proxy.throttle(100_000);
    let ledger = Ledger::default();
    for n in 0..40 {
        let messages: Vec<_> = (0..100).map(|part| format!("{n}.{part}")).collect();
        ledger.publish(&fast.log, "a", &messages).await.unwrap();
    }
    timeout(TEST_TIMEOUT, slow.log.hear_all()).await.expect("it is through in the end");
    let heard = slow.tail.heard();
    assert!(heard >= ledger.last(), "it had only heard {heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hears_nothing_knows_nothing() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let (fast, deaf) = (Node::connect(&server.url()).await, Node::connect(&proxy.url()).await);
    proxy.stall(true);
    let last = fast.log.append(batch(vec![draft("a", "0.0")])).await.unwrap().first;
    let mut hearing = deaf.log.hear_all();
    until("it notices", || !deaf.log.is_in_step()).await;
    assert!(timeout(Duration::ZERO, &mut hearing).await.is_err());
    proxy.stall(false);
    timeout(TEST_TIMEOUT, hearing).await.expect("it hears again");
    assert!(deaf.tail.heard() >= last);
}

const PAGE: PageLimit = PageLimit { events: 1000, bytes: 256 << 10 };

async fn read(node: &Node, from: ReadFrom, until: Position) -> Page {
    let (log, everything) = (node.log.clone(), Selector::parse(["**"], []).unwrap());
    let read = move || log.read(from, until, &everything, PAGE).unwrap();
    tokio::task::spawn_blocking(read).await.unwrap()
}
