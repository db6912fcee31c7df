//! Any one key of the namespace is deleted, put back as it was before, or of another type; or all of
//! them are gone: no position is given out twice, nothing is lost in silence, and it is said what is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare_log::EventLog;
use fanfare_redis::RedisSettings;
use fanfare_testkit::RedisServer;

use crate::ledger::{Ledger, Node, draft, keyed, named, settings, until};

const LONG: Duration = Duration::from_secs(60);

/// Every key there is: a new one has to be named here, and its loss described in
/// `docs/guarantees.md`.
const KEYS: [&str; 9] = [
    "{test}:deposit:a",
    "{test}:events",
    "{test}:ids",
    "{test}:ids:order",
    "{test}:key:k",
    "{test}:lineage",
    "{test}:nodes",
    "{test}:notices",
    "{test}:waited",
];

/// Two nodes that have used all there is to use.
async fn used() -> (RedisServer, [Node; 2], Ledger) {
    let server = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", server.port())]);
    until("the replica is in step", || replica.info("master_link_status") == "up").await;
    until("the replica counts", || server.command(&["WAIT", "1", "100"]) == "1").await;
    let waiting = RedisSettings { wait_replicas: 1, ..settings(&server.url()) };
    // For as long as the replica may be held up.
    let waiting = RedisSettings { response_timeout: LONG, publish_deadline: LONG, ..waiting };
    let node = Node::with(waiting).await;
    node.log.append(keyed(vec![named("k", "0.0", "urn:k")], "k")).await.unwrap();
    drop((node, replica));

    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    nodes[0].log.cluster_store().deposit("a", "for a", LONG).await.unwrap();
    nodes[0].log.cluster_store().broadcast("notice").await.unwrap();
    nodes[0].log.cluster_store().heartbeat("one", "I am one").await.unwrap();
    let keys = server.command(&["KEYS", "*"]);
    let keys: BTreeSet<&str> = keys.split(' ').collect();
    assert_eq!(keys, BTreeSet::from(KEYS));
    (server, nodes, Ledger::default())
}

/// Something happens to a key under load.
async fn with_fault_under_load(key: &str, what: impl Fn(&RedisServer)) {
    let (server, nodes, ledger) = used().await;
    server.command(&["COPY", key, "older"]);
    let loads = [ledger.load(&nodes[0].log, "a"), ledger.load(&nodes[1].log, "b")];
    until("much is published", || ledger.len() > 100).await;
    what(&server);
    let before = ledger.len();
    until("publishing goes on", || ledger.len() > before + 100).await;
    for load in loads {
        load.stop().await;
    }
    for node in &nodes {
        node.ready().await;
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
    }
    let store = nodes[1].log.cluster_store();
    store.broadcast("another").await.unwrap();
    store.heartbeat("two", "I am two").await.unwrap();
    store.deposit("b", "for b", LONG).await.unwrap();
    assert_eq!(store.withdraw("b").await.unwrap().as_deref(), Some("for b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_is_survived() {
    for key in KEYS {
        with_fault_under_load(key, |server| {
            server.command(&["DEL", key]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_key_is_survived() {
    for key in KEYS {
        with_fault_under_load(key, |server| {
            server.command(&["RENAME", "older", key]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_survived() {
    with_fault_under_load("{test}:events", |server| {
        server.command(&["FLUSHALL"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_type_is_survived() {
    for key in KEYS {
        let (server, nodes, ledger) = used().await;
        // At once: a node would write the key anew in between.
        server.command(&["SADD", "{test}:other", "not ours"]);
        server.command(&["RENAME", "{test}:other", key]);
        // Without these there are no events.
        if ["{test}:events", "{test}:lineage", "{test}:notices"].contains(&key) {
            for node in &nodes {
                until("it says what is wrong", || {
                    node.log.ready().is_err_and(|unready| {
                        unready.to_string().contains(&format!("{key} is a set"))
                    })
                })
                .await;
            }
        } else if key != "{test}:key:k" {
            ledger.publish(&nodes[0].log, "a", &["0.0".to_owned()]).await.unwrap();
        }
        assert_eq!(server.command(&["SMEMBERS", key]), "not ours", "it is not ours to delete");
        server.command(&["DEL", key]);
        for node in &nodes {
            node.ready().await;
        }
        ledger.publish(&nodes[1].log, "a", &["1.0".to_owned()]).await.unwrap();
        nodes[0].log.append(keyed(vec![draft("k", "0.0")], "k")).await.unwrap();
        for node in &nodes {
            node.heard(ledger.last()).await;
            ledger.judge(&node.tail);
        }
    }
}
