//! maxmemory is reached: publishes are refused with the reason, reads go on.

use fanfare_event::{Position, Selector};
use fanfare_log::{AppendError, EventLog, PageLimit, ReadFrom};

use crate::ledger::{Ledger, Node, batch, draft, until};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_refuses_publishes_and_serves_reads() {
    let server = Server::start(&[]);
    let node = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "default", &["0.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for drafts in [vec![draft("t", "1.0")], vec![draft("t", "1.0"), draft("t", "1.1")]] {
        let refused = node.log.append(batch(drafts)).await;
        assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
    }
    let reason = node.log.ready().unwrap_err().reason;
    assert!(reason.contains("OOM"), "{reason}");

    // A node that comes now, and one that has lost its connections, can read too.
    let late = Node::connect(&server.url()).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    for log in [node.log.clone(), late.log.clone()] {
        let until_last = ledger.last();
        until("it reads", || {
            let limit = PageLimit { events: 10, bytes: 1000 };
            let (log, selector) = (log.clone(), Selector::default());
            let from = ReadFrom::After(Position::new(until_last.epoch, 0));
            std::thread::spawn(move || log.read(from, until_last, &selector, limit))
                .join()
                .unwrap()
                .is_ok_and(|page| page.events.len() == 1 && page.trimmed.is_none())
        })
        .await;
    }

    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    node.ready().await;
    ledger.publish(&node.log, "default", &["2.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_writes_is_said_to_and_noticed_when_it_relents() {
    let server = Server::start(&[]);
    let node = Node::connect(&server.url()).await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let refused = node.log.append(batch(vec![draft("t", "0.0")])).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    assert!(node.log.ready().unwrap_err().reason.contains("NOREPLICAS"));
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    node.ready().await;
}
