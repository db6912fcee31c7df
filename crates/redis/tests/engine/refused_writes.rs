//! maxmemory is reached, or the disk cannot be written: publishes are refused with the reason, reads go on.

use std::sync::Arc;

use fanfare_event::{Position, Selector};
use fanfare_log::{AppendError, EventLog, PageLimit, ReadFrom};
use fanfare_redis::RedisLog;
use fanfare_testkit::RedisServer;

use crate::ledger::{Ledger, Node, batch, draft, until};

/// Whether the one event up to a position can be read.
fn reads_one(log: &Arc<RedisLog>, last: Position) -> bool {
    let log = log.clone();
    let reading = std::thread::spawn(move || {
        let limit = PageLimit { events: 10, bytes: 1000 };
        log.read(ReadFrom::After(Position::new(last.epoch, 0)), last, &Selector::default(), limit)
    });
    reading.join().unwrap().is_ok_and(|page| page.events.len() == 1 && page.trimmed.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_publishes_and_serves_reads() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "default", &["0.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for drafts in [vec![draft("t", "1.0")], vec![draft("t", "1.0"), draft("t", "1.1")]] {
        let refused = node.log.append(batch(drafts)).await;
        assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
    }
    let reason = node.log.ready().unwrap_err().to_string();
    assert!(reason.contains("OOM"), "{reason}");

    // A node that comes now, and one that has lost its connections, can read too.
    let late = Node::connect(&server.url()).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    for log in [node.log.clone(), late.log.clone()] {
        let until_last = ledger.last();
        until("it reads", || reads_one(&log, until_last)).await;
    }

    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    node.ready().await;
    ledger.publish(&node.log, "default", &["2.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_writes_is_said_to_and_noticed_when_it_relents() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let refused = node.log.append(batch(vec![draft("t", "0.0")])).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    assert!(node.log.ready().unwrap_err().to_string().contains("NOREPLICAS"));
    let idle = Node::connect(&server.url()).await;
    until("a node that publishes nothing notices too", || idle.log.ready().is_err()).await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    node.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_save_refuses_publishes_and_serves_reads() {
    let server = RedisServer::start(&["--save", "3600 1"]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "default", &["0.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    // A directory in the place of the file: the snapshot cannot be renamed to it.
    let obstacle = server.directory().join("dump.rdb/in-the-way");
    std::fs::create_dir_all(&obstacle).unwrap();
    server.command(&["BGSAVE"]);
    until("the save fails", || server.info("rdb_last_bgsave_status") == "err").await;
    let refused = node.log.append(batch(vec![draft("t", "1.0")])).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    assert!(node.log.ready().unwrap_err().to_string().contains("MISCONF"));
    let late = Node::connect(&server.url()).await;
    until("it reads", || reads_one(&late.log, ledger.last())).await;
    std::fs::remove_dir_all(server.directory().join("dump.rdb")).unwrap();
    server.command(&["BGSAVE"]);
    node.ready().await;
}
