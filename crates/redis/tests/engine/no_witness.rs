//! Redis comes back as another process, perhaps with less, and no node is there that had heard of all it
//! has left: whether something acknowledged is missing cannot be known, and is therefore said.

use fanfare_event::Position;
use fanfare_log::{Between, EventLog};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Ledger, Node, until};

const EVERY_SECOND: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];
const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Publishes `count` events at a node, and waits until it has heard them. The last position.
async fn publish(node: &Node, count: usize) -> Position {
    let ledger = Ledger::default();
    for n in 0..count {
        ledger.publish(&node.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    node.heard(ledger.last()).await;
    ledger.last()
}

/// Redis and all its nodes are killed at once, and come back.
async fn all_killed(server: &mut RedisServer, nodes: Vec<Node>) -> Node {
    drop(nodes);
    server.restart();
    until("it has loaded what it kept", || server.info("loading") == "0").await;
    Node::connect(&server.url()).await
}

/// The epoch of which nothing can be lost.
fn safe_epoch(server: &RedisServer) -> String {
    server.command(&["HGET", "{test}:lineage", "safe"])
}

/// What lies between a position and where a node has begun.
fn between(node: &Node, after: Position) -> Between {
    let (lineage, at) = node.tail.begins().pop().unwrap();
    assert!(at.epoch > after.epoch, "an epoch has begun");
    lineage.between(after, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_snapshot_lacks_is_told() {
    let mut server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let kept = publish(&node, 20).await;
    server.command(&["SAVE"]);
    publish(&node, 20).await;
    let late = all_killed(&mut server, vec![node]).await;
    assert_eq!(between(&late, kept), Between::Lost, "for who has all that is left");
    let behind = Position::new(kept.epoch, 3);
    assert_eq!(between(&late, behind), Between::Lost, "for who was behind");
    // And for whoever comes later still, at whichever node.
    let later = Node::connect(&server.url()).await;
    assert_eq!(between(&later, behind), Between::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_synced_yet_is_told() {
    let mut server = RedisServer::start(&EVERY_SECOND);
    let node = Node::connect(&server.url()).await;
    let last = publish(&node, 20).await;
    let late = all_killed(&mut server, vec![node]).await;
    assert_eq!(between(&late, last), Between::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_syncs_every_write_raises_none() {
    let mut server = RedisServer::start(&ALWAYS);
    let node = Node::connect(&server.url()).await;
    let last = publish(&node, 20).await;
    let late = all_killed(&mut server, vec![node]).await;
    assert_eq!(between(&late, last), Between::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_restarted_beside_redis_raise_no_alarm() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let last = publish(&node, 20).await;
    drop(node);
    let late = Node::connect(&server.url()).await;
    let (_, at) = late.tail.begins().pop().unwrap();
    assert_eq!(at, last, "no epoch begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_outlives_redis_raises_no_alarm() {
    let mut server = RedisServer::start(&EVERY_SECOND);
    let node = Node::connect(&server.url()).await;
    let last = publish(&node, 20).await;
    server.restart();
    until("an epoch has begun", || node.tail.begins().len() == 2).await;
    assert_eq!(between(&node, last), Between::Nothing, "it vouches for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_vouches_only_for_what_it_has_heard() {
    let mut server = RedisServer::start(&EVERY_SECOND);
    let way = Proxy::to(server.port());
    let (node, cut_off) = (Node::connect(&server.url()).await, Node::connect(&way.url()).await);
    let before = publish(&node, 20).await;
    cut_off.heard(before).await;
    // Nobody listens at port 1.
    way.redirect(1);
    until("it is cut off", || cut_off.log.ready().is_err()).await;
    publish(&node, 20).await;
    drop(node);
    server.restart();
    way.redirect(server.port());
    until("an epoch has begun", || cut_off.tail.heard().epoch > before.epoch).await;
    assert_eq!(between(&cut_off, before), Between::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_ceased_to_sync_is_not_trusted() {
    for unsafe_now in [
        &["CONFIG", "SET", "appendfsync", "everysec"][..],
        &["CONFIG", "SET", "no-appendfsync-on-rewrite", "yes"],
        &["CONFIG", "SET", "appendonly", "no"],
        &["ACL", "SETUSER", "default", "-config|get"],
    ] {
        let mut server = RedisServer::start(&ALWAYS);
        let node = Node::connect(&server.url()).await;
        let last = publish(&node, 20).await;
        assert_eq!(safe_epoch(&server), last.epoch.to_string());
        server.command(unsafe_now);
        until("it is noted", || safe_epoch(&server).is_empty()).await;
        // For good: what was written meanwhile is no safer for it.
        if unsafe_now[0] == "CONFIG" {
            let before = if unsafe_now[2] == "appendfsync" { "always" } else { "no" };
            let before = if unsafe_now[2] == "appendonly" { "yes" } else { before };
            server.command(&["CONFIG", "SET", unsafe_now[2], before]);
            until("it is rewritten", || server.info("aof_rewrite_in_progress") == "0").await;
        }
        let late = all_killed(&mut server, vec![node]).await;
        assert_eq!(between(&late, last), Between::Lost, "{unsafe_now:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_not_taken_for_a_synced_disk() {
    let mut server = RedisServer::start(&ALWAYS);
    let node = Node::connect(&server.url()).await;
    let last = publish(&node, 20).await;
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", server.port())]);
    until("it is noted", || safe_epoch(&server).is_empty()).await;
    drop(replica);
    let late = all_killed(&mut server, vec![node]).await;
    assert_eq!(between(&late, last), Between::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_of_a_replaced_server_is_told() {
    let mut master = RedisServer::start(&ALWAYS);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let ways = [Proxy::to(master.port()), Proxy::to(master.port())];
    let (knowing, other) =
        (Node::connect(&ways[0].url()).await, Node::connect(&ways[1].url()).await);
    let before = publish(&knowing, 20).await;
    other.heard(before).await;
    let copied = || replica.attempt(&["XLEN", "{test}:events"]).as_deref() == Some("21");
    until("the replica has it", copied).await;
    // The partition. The old master is restarted, and begins an epoch that the replica never sees.
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    ways[1].redirect(1);
    until("it is cut off", || other.log.ready().is_err()).await;
    master.restart();
    until("an epoch has begun", || knowing.tail.heard().epoch > before.epoch).await;
    let lost = publish(&knowing, 5).await;
    assert!(lost.epoch > before.epoch);
    ways[0].redirect(1);
    until("it is cut off too", || knowing.log.ready().is_err()).await;
    // The other vouches for all that the replica has, and a later epoch begins there.
    ways[1].redirect(replica.port());
    until("an epoch has begun", || other.tail.heard().epoch > lost.epoch).await;
    assert_eq!(between(&other, before), Between::Nothing);
    ways[0].redirect(replica.port());
    let is_told = || between(&other, before) == Between::Lost;
    until("who knows of more has said so", is_told).await;
    let late = Node::connect(&replica.url()).await;
    assert_eq!(between(&late, before), Between::Lost, "for who comes later");
}
