//! A link slower than a page or even one message may take: less is asked for, longer waited.

use std::time::Duration;

use fanfare_event::{Position, Selector};
use fanfare_log::{EventLog, PageLimit, ReadFrom};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Ledger, Node, batch, draft, settings, until};

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
