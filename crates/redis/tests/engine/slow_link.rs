//! A link slower than a page or even one message may take: less is asked for, longer waited.

use std::time::Duration;

use fanfare_log::EventLog;
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
    impatient.patience = Duration::from_millis(500);
    let (fast, slow) = (Node::connect(&server.url()).await, Node::with(impatient).await);
    proxy.throttle(150_000);
    let appended = fast.log.append(batch(vec![draft("a", "x".repeat(400_000))])).await.unwrap();
    until("it arrives", || slow.tail.heard() >= appended.first).await;
    assert_eq!(slow.tail.begins().len(), 1);
}
