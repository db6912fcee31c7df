//! A replica that had missed writes takes over, and hands out the same seqs again.

use std::sync::Arc;
use std::time::Instant;

use fanfare_event::{Position, Selector};
use fanfare_log::{AppendError, Between, EpochStatus, EventLog, PageLimit, ReadFrom};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Ledger, Node, TEST_TIMEOUT, batch, draft, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn offsets_given_out_again_belong_to_another_epoch() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let proxy = Proxy::to(master.port());
    let node = Node::connect(&proxy.url()).await;
    let ledger = Ledger::default();
    for n in 0..50 {
        ledger.publish(&node.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    let copied = ledger.last();
    until("the replica has all", || {
        let facts = replica.attempt(&["XINFO", "STREAM", "{test}:events"]);
        facts.is_some_and(|facts| facts.contains(&format!("last-generated-id {copied}")))
    })
    .await;
    // The partition: the replica goes its own way, the old master still takes publishes.
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    for n in 50..60 {
        ledger.publish(&node.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    let lost = ledger.last();
    node.heard(lost).await;
    proxy.redirect(replica.port());
    until("a new epoch begins", || node.tail.begins().last().unwrap().1.epoch > copied.epoch).await;

    let (lineage, at) = node.tail.begins().pop().unwrap();
    assert_eq!(lineage.epoch_status(copied.epoch), EpochStatus::EndedAt(copied));
    for after in [lost, copied, Position::new(copied.epoch, 1)] {
        assert_eq!(
            lineage.between(after, at),
            Between::Lost,
            "whoever goes on from {after} is told"
        );
    }
    for n in 60..70 {
        ledger.publish(&node.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    assert_eq!(ledger.last(), Position::new(at.epoch, 10));
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert!(node.log.ready().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_demoted_in_place_is_given_up_until_it_is_one_again() {
    let other = RedisServer::start(&[]);
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    let load = ledger.load(&node.log, "a");
    until("much is published", || ledger.len() > 300).await;
    // It takes over the other's data, none, and loses its own: same process, same run_id.
    server.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    until("readiness says so", || node.log.ready().is_err()).await;
    until("its data is gone", || server.info("master_link_status") == "up").await;
    let before = ledger.len();
    server.command(&["REPLICAOF", "NO", "ONE"]);
    until("publishing goes on", || ledger.len() > before + 300).await;
    load.stop().await;
    assert!(ledger.last().epoch > node.tail.begins()[0].1.epoch);
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    node.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_goes_to_a_replaced_server() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let way = Proxy::to(master.port());
    let node = Node::connect(&way.url()).await;
    let start = node.tail.heard();
    let last = node.log.append(batch(vec![draft("a", "0.0")])).await.unwrap().first;
    node.heard(last).await;
    let read = |after: Position, until: Position| {
        let log = Arc::clone(&node.log);
        let limit = PageLimit { events: 10, bytes: 10_000 };
        let (from, all) = (ReadFrom::After(after), Selector::parse(["**"], []).unwrap());
        async move {
            tokio::task::spawn_blocking(move || log.read(from, until, &all, limit).unwrap())
                .await
                .unwrap()
        }
    };
    // Its connection is kept for the next.
    assert_eq!(read(start, last).await.events.len(), 1);
    let copied = || replica.attempt(&["XLEN", "{test}:events"]).as_deref() == Some("2");
    until("the replica has it", copied).await;
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    // Whoever connects from now on finds the new master: all but what has read.
    way.redirect_to_port(replica.port());
    for client in master.command(&["CLIENT", "LIST"]).lines() {
        if !client.contains("cmd=xrange") {
            let id = client.split_whitespace().find_map(|field| field.strip_prefix("id=")).unwrap();
            // The one that asks is gone by now.
            master.attempt(&["CLIENT", "KILL", "ID", id]);
        }
    }
    until("an epoch has begun", || node.tail.heard().epoch > last.epoch).await;
    let other = Node::connect(&replica.url()).await;
    let news = other.log.append(batch(vec![draft("a", "1.0")])).await.unwrap().first;
    node.heard(news).await;
    until("the node can read", || node.log.is_in_step()).await;
    let page = read(Position::new(news.epoch, 0), news).await;
    assert_eq!((page.events.len(), page.trimmed, page.next), (1, None, news));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_too_few_replicas_have_is_not_acknowledged() {
    let master = RedisServer::start(&[]);
    let mut settings = settings(&master.url());
    settings.wait_replicas = 1;
    let node = Node::with(settings).await;
    let alone = node.log.append(batch(vec![draft("a", "0.0")])).await;
    assert!(matches!(alone, Err(AppendError::OutcomeUnknown { .. })), "{alone:?}");
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    until("the replica is in step", || replica.info("master_link_status") == "up").await;
    until("the replica counts", || master.command(&["WAIT", "1", "100"]) == "1").await;
    let begun = Instant::now();
    let copied = loop {
        match node.log.append(batch(vec![draft("a", "1.0")])).await {
            Ok(copied) => break copied,
            // A replica that is held up for a second does not have it in time.
            Err(AppendError::OutcomeUnknown { .. }) if begun.elapsed() < TEST_TIMEOUT => {}
            Err(error) => panic!("{error}"),
        }
    };
    let id = copied.first.to_string();
    assert!(replica.command(&["XINFO", "STREAM", "{test}:events"]).contains(&id));
}

/// Redis calls its history by another name then, and nothing of it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_replica_is_no_failover() {
    let master = RedisServer::start(&[]);
    let node = Node::connect(&master.url()).await;
    let ledger = Ledger::default();
    let load = ledger.load(&node.log, "a");
    until("much is published", || ledger.len() > 300).await;
    let before = master.info("master_replid");
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    until("the replica is in step", || replica.info("master_link_status") == "up").await;
    let after = master.info("master_replid");
    assert_ne!(before, after);
    let server = format!("{}:{after}", master.info("run_id"));
    let is_noted = || master.command(&["HGET", "{test}:lineage", "server"]) == server;
    until("it is noted", is_noted).await;
    load.stop().await;
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert_eq!(node.tail.begins().len(), 1, "nothing was lost, and nothing is said to be");
}
