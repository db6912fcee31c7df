//! Redis, or the way to it, stands still: connections stay open and nothing is answered.

use std::time::Duration;

use fanfare_log::{AppendError, EventLog};
use fanfare_testkit::{Proxy, RedisServer};
use tokio::time::sleep;

use crate::ledger::{Ledger, Node, batch, draft, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis_is_noticed_and_survived() {
    let server = RedisServer::start(&[]);
    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    let ledger = Ledger::default();
    let loads = [ledger.load(&nodes[0].log, "a"), ledger.load(&nodes[1].log, "b")];
    until("much is published", || ledger.len() > 300).await;
    server.stop();
    until("both nodes notice", || nodes.iter().all(|node| node.log.ready().is_err())).await;
    let before = ledger.len();
    server.go_on();
    until("publishing goes on", || ledger.len() > before + 300).await;
    for load in loads {
        load.stop().await;
    }
    for node in &nodes {
        node.ready().await;
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
        assert_eq!(node.tail.begins().len(), 1, "no write was lost, so no epoch began");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_publishes_are_bounded_and_all_answered() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    settings.max_waiting = 8;
    let node = Node::with(settings).await;
    node.is_free().await;
    server.stop();
    let waiting: Vec<_> =
        (0..50).map(|n| node.log.append(batch(vec![draft("t", format!("{n}.0"))]))).collect();
    let (mut unsent, mut unknown) = (0, 0);
    for answer in waiting {
        match answer.await {
            Err(AppendError::Unavailable { .. }) => unsent += 1,
            Err(AppendError::OutcomeUnknown { .. }) => unknown += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=8).contains(&unknown), "{unknown} outcomes unknown");
    assert!(unsent >= 42, "{unsent} said not to have been sent");
    // What was said not to have been sent never appears.
    server.go_on();
    let after = loop {
        match node.log.append(batch(vec![draft("t", "50.0")])).await {
            Ok(after) => break after,
            Err(AppendError::Unavailable { .. }) => sleep(Duration::from_millis(5)).await,
            Err(other) => panic!("{other:?}"),
        }
    };
    node.heard(after.first).await;
    assert!(node.tail.events().len() <= unknown + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_hear_its_own_events_is_not_ready() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let mut settings = settings(&proxy.url());
    settings.echo_deadline = Duration::from_millis(50);
    let node = Node::with(settings).await;
    // The first connection is the tail's; a second one still publishes.
    proxy.stall_first();
    node.log.append(batch(vec![draft("t", "0.0")])).await.unwrap();
    until("it says why", || {
        node.log.ready().is_err_and(|unready| unready.to_string().contains("has not come back"))
    })
    .await;
    node.ready().await;
    assert_eq!(node.tail.events().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_node_is_told_what_was_trimmed_meanwhile() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let stalled = Node::connect(&proxy.url()).await;
    let mut small = settings(&server.url());
    small.retention.count = 200;
    let busy = Node::with(small).await;
    let ledger = Ledger::default();
    ledger.publish(&busy.log, "a", &["0.0".to_owned()]).await.unwrap();
    stalled.heard(ledger.last()).await;
    proxy.stall(true);
    for n in 1..40 {
        let messages: Vec<_> = (0..100).map(|part| format!("{n}.{part}")).collect();
        ledger.publish(&busy.log, "a", &messages).await.unwrap();
        busy.heard(ledger.last()).await;
    }
    assert!(server.number(&["XLEN", "{test}:events"]) < 500);
    proxy.stall(false);
    proxy.redirect(server.port());
    stalled.heard(ledger.last()).await;
    ledger.judge(&stalled.tail);
    ledger.judge(&busy.tail);
    let (lineage, at) = stalled.tail.begins().pop().unwrap();
    assert_eq!(stalled.tail.begins().len(), 2);
    assert!(!lineage.continuous(fanfare_event::Position::new(at.epoch, 1), at));
    assert_eq!(busy.tail.begins().len(), 1, "the others missed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_wait_for_what_is_gone() {
    let server = RedisServer::start(&[]);
    let way = Proxy::to(server.port());
    let (away, busy) = (Node::connect(&way.url()).await, Node::connect(&server.url()).await);
    let ledger = Ledger::default();
    ledger.publish(&busy.log, "a", &["0.0".to_owned()]).await.unwrap();
    let before = ledger.last();
    away.heard(before).await;
    // Nobody listens at port 1.
    way.redirect(1);
    until("it is cut off", || away.log.ready().is_err()).await;
    ledger.publish(&busy.log, "a", &["1.0".to_owned(), "1.1".to_owned()]).await.unwrap();
    server.command(&["XTRIM", "{test}:events", "MAXLEN", "0"]);
    way.redirect(server.port());
    away.heard(ledger.last()).await;
    let (lineage, at) = away.tail.begins().pop().unwrap();
    assert!(!lineage.continuous(before, at));
    ledger.judge(&away.tail);
    away.ready().await;
}
