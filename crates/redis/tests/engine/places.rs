//! Finding the server by way of Sentinel and of a cluster.

use fanfare_testkit::{RedisServer, free_port};

use crate::ledger::{Ledger, Node, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_slot_is_found_from_any_node_of_a_cluster() {
    let bus = || free_port().to_string();
    let start = || {
        let options = ["--cluster-enabled", "yes", "--cluster-port", &bus()].map(str::to_owned);
        RedisServer::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (seed, owner) = (start(), start());
    seed.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "99"]);
    owner.command(&["CLUSTER", "ADDSLOTSRANGE", "100", "16383"]);
    let owner_bus = owner.command(&["CONFIG", "GET", "cluster-port"]);
    let owner_bus = owner_bus.rsplit(' ').next().unwrap().to_owned();
    seed.command(&["CLUSTER", "MEET", "127.0.0.1", &owner.port().to_string(), &owner_bus]);
    let formed = |server: &RedisServer| {
        let info = server.command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
    };
    until("the cluster has formed", || formed(&seed) && formed(&owner)).await;

    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", free_port(), seed.port());
    let node = Node::connect(&url).await;
    let ledger = Ledger::default();
    for n in 0..10 {
        ledger.publish(&node.log, "a", &[format!("{n}.0"), format!("{n}.1")]).await.unwrap();
    }
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert_eq!(owner.number(&["EXISTS", "{test}:events"]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_lead_to_the_new_master() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let sentinel = Sentinel::watch(master.port());
    until("the sentinel knows the replica", || {
        sentinel
            .0
            .command(&["SENTINEL", "REPLICAS", "mymaster"])
            .contains(&replica.port().to_string())
    })
    .await;
    let url = format!("redis+sentinel://127.0.0.1:{}/mymaster", sentinel.0.port());
    let node = Node::connect(&url).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    until("the replica is in step", || {
        replica.info("master_link_status") == "up"
            && replica.number(&["XLEN", "{test}:events"]) == 2
    })
    .await;
    until("the failover begins", || {
        sentinel.0.attempt(&["SENTINEL", "FAILOVER", "mymaster"]).is_some()
    })
    .await;
    until("the replica is master", || replica.info("role") == "master").await;
    let first_epoch = node.tail.begins()[0].1.epoch;
    until("the node follows", || node.tail.heard().epoch > first_epoch).await;
    node.ready().await;
    ledger.publish(&node.log, "a", &["1.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    let last = ledger.last().to_string();
    assert!(replica.command(&["XINFO", "STREAM", "{test}:events"]).contains(&last));
}

/// A Sentinel of one.
struct Sentinel(RedisServer);

impl Sentinel {
    fn watch(port: u16) -> Self {
        let server = RedisServer::sentinel();
        server.command(&["SENTINEL", "MONITOR", "mymaster", "127.0.0.1", &port.to_string(), "1"]);
        Self(server)
    }
}
