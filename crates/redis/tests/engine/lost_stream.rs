//! The stream vanishes or goes back while the server stays up.

use fanfare_log::{EpochStatus, EventLog};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Ledger, Node, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_flush_is_noticed_and_said() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    server.command(&["FLUSHALL"]);
    until("a new epoch begins", || node.tail.begins().len() == 2).await;
    let begins = node.tail.begins();
    assert_eq!(begins[1].0.epoch_status(begins[0].1.epoch), EpochStatus::Unknown);
    assert!(!begins[1].0.continuous(ledger.last(), begins[1].1));
    assert!(begins[1].1 > ledger.last(), "positions only grow");
    ledger.publish(&node.log, "a", &["1.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_under_load_loses_nothing_in_silence() {
    let server = RedisServer::start(&[]);
    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    let ledger = Ledger::default();
    let loads = [ledger.load(&nodes[0].log, "a"), ledger.load(&nodes[1].log, "b")];
    for flushes in 1..4 {
        until("much is published", || ledger.len() > 300 * flushes).await;
        server.command(&["FLUSHALL"]);
    }
    until("publishing goes on", || ledger.len() > 1500).await;
    for load in loads {
        load.stop().await;
    }
    for node in &nodes {
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
        assert!(node.tail.begins().len() >= 2);
        node.ready().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_an_older_copy_begins_an_epoch() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    let kept = ledger.last();
    server.command(&["COPY", "{test}:events", "older"]);
    ledger.publish(&node.log, "a", &["1.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    server.command(&["RENAME", "older", "{test}:events"]);
    until("a new epoch begins", || node.tail.begins().len() == 2).await;
    let (lineage, at) = node.tail.begins().pop().unwrap();
    assert_eq!(lineage.epoch_status(kept.epoch), EpochStatus::EndedAt(kept));
    assert!(!lineage.continuous(ledger.last(), at), "the second event is lost, and that is said");
    ledger.publish(&node.log, "a", &["2.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_and_its_lineage_restored_together_begin_an_epoch() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    let kept = ledger.last();
    server.command(&["COPY", "{test}:events", "{test}:events:older"]);
    server.command(&["COPY", "{test}:lineage", "{test}:lineage:older"]);
    ledger.publish(&node.log, "a", &["1.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    // The two agree with each other: only what the node has heard tells that they went back.
    let restore = "for _, key in ipairs(KEYS) do redis.call('RENAME', key .. ':older', key) end";
    server.command(&["EVAL", restore, "2", "{test}:events", "{test}:lineage"]);
    // At once, before any check of the fence; the ledger refuses a position it knows.
    let _ = ledger.publish(&node.log, "a", &["2.0".to_owned()]).await;
    until("a new epoch begins", || node.tail.begins().len() == 2).await;
    let (lineage, at) = node.tail.begins().pop().unwrap();
    assert_eq!(lineage.epoch_status(kept.epoch), EpochStatus::EndedAt(kept));
    assert!(!lineage.continuous(kept, at), "the second event is lost, and that is said");
    ledger.publish(&node.log, "a", &["3.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_nobody_understands_is_not_passed_over_in_silence() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    let id = format!("{}-*", ledger.last().epoch);
    server.command(&["XADD", "{test}:events", &id, "what", "is this"]);
    ledger.publish(&node.log, "a", &["1.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    let begins = node.tail.begins();
    let (lineage, at) = &begins[1];
    assert_eq!(at.seq, 2);
    assert!(!lineage.continuous(fanfare_event::Position::new(at.epoch, 1), *at));
    // What others put there has a position that the lineage did not give out: an epoch of its own.
    assert!(begins[2].0.continuous(*at, begins[2].1));
    assert!(node.log.ready().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_gives_out_no_position_again() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    server.command(&["COPY", "{test}:events", "older"]);
    for n in 1..50 {
        ledger.publish(&node.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    server.command(&["RENAME", "older", "{test}:events"]);
    // At once, before any check of the fence; the ledger refuses a position it knows.
    for n in 50..100 {
        let _ = ledger.publish(&node.log, "a", &[format!("{n}.0")]).await;
    }
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trimmed_before_anyone_could_read_it_is_said() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let epoch = format!("{}-*", node.tail.heard().epoch);
    let come_and_go = "redis.call('XADD', KEYS[1], ARGV[1], 'a', '1', 't', 'a', 'm', '0.0') \
                       redis.call('HSET', KEYS[2], 'seq', 1) \
                       redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)";
    server.command(&["EVAL", come_and_go, "2", "{test}:events", "{test}:lineage", &epoch]);
    until("the tail is told", || node.tail.heard().seq == 1).await;
    assert!(node.tail.events().is_empty());
    let begins = node.tail.begins();
    assert!(!begins[1].0.continuous(begins[0].1, begins[1].1));
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["1.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_gives_out_no_position_again() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let (one, two) = (Node::connect(&server.url()).await, Node::connect(&proxy.url()).await);
    two.is_free().await;
    let ledger = Ledger::default();
    let messages: Vec<_> = (0..50).map(|n| format!("{n}.0")).collect();
    ledger.publish(&one.log, "a", &messages).await.unwrap();
    two.heard(ledger.last()).await;
    server.command(&["COPY", "{test}:events", "older"]);
    // It publishes still, and hears no more.
    proxy.stall_first();
    let messages: Vec<_> = (50..100).map(|n| format!("{n}.0")).collect();
    ledger.publish(&one.log, "a", &messages).await.unwrap();
    one.heard(ledger.last()).await;
    server.command(&["RENAME", "older", "{test}:events"]);
    // The ledger refuses a position it knows.
    for n in 100..150 {
        let _ = ledger.publish(&two.log, "a", &[format!("{n}.0")]).await;
    }
    ledger.publish(&two.log, "a", &["150.0".to_owned()]).await.unwrap();
    for node in [&one, &two] {
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
    }
}
