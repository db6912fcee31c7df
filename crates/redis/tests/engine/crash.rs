//! Redis is killed with signal 9 under load and comes back with what it had on disk.

use fanfare_log::{EpochStatus, EventLog};
use fanfare_testkit::RedisServer;

use crate::ledger::{Ledger, Node, until};

async fn killed_under_load(options: &[&str]) -> (RedisServer, Ledger, [Node; 2]) {
    let mut server = RedisServer::start(options);
    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    let ledger = Ledger::default();
    let loads = [ledger.load(&nodes[0].log, "a"), ledger.load(&nodes[1].log, "b")];
    until("much is published", || ledger.len() > 300).await;
    server.kill();
    until("both nodes notice", || nodes.iter().all(|node| node.log.ready().is_err())).await;
    let before = ledger.len();
    server.restart();
    until("publishing goes on", || ledger.len() > before + 300).await;
    for load in loads {
        load.stop().await;
    }
    for node in &nodes {
        node.ready().await;
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
    }
    (server, ledger, nodes)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_write_synced_nothing_is_lost() {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let (_server, ledger, nodes) = killed_under_load(&options).await;
    for node in nodes {
        let [(_, first), (lineage, second)] = &node.tail.begins()[..] else {
            panic!("one new epoch: {:?}", node.tail.begins());
        };
        let EpochStatus::EndedAt(end) = lineage.epoch_status(first.epoch) else { panic!() };
        assert!(lineage.continuous(end, *second), "and nothing lost");
        let heard = node.tail.events().len();
        assert!(heard >= ledger.len(), "{heard} of {} events", ledger.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_sync_a_second_every_loss_is_said() {
    killed_under_load(&["--appendonly", "yes", "--appendfsync", "everysec"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_persistence_the_old_epoch_is_unknown() {
    let (_server, _, nodes) = killed_under_load(&["--appendonly", "no"]).await;
    for node in nodes {
        let begins = node.tail.begins();
        let (lineage, _) = begins.last().unwrap();
        assert_eq!(lineage.epoch_status(begins[0].1.epoch), EpochStatus::Unknown);
    }
}
