//! Finding the server by way of Sentinel and of a cluster.

use std::sync::Arc;
use std::time::Instant;

use fanfare_log::EventLog;
use fanfare_redis::RedisLog;
use fanfare_testkit::{RedisServer, free_port};

use crate::ledger::{Ledger, Node, Recorder, TEST_TIMEOUT, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_slot_is_found_from_any_node_of_a_cluster() {
    let cluster = Cluster::of(2, &[]).await;
    let owner = cluster.owner();
    let seed = cluster.servers.iter().find(|server| server.port() != owner.port()).unwrap();
    // The first of the URL's nodes is not there, the second owns another slot.
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
async fn a_node_follows_a_slot_that_moves() {
    let cluster = Cluster::of(2, &[]).await;
    let from = cluster.owner();
    let to = cluster.servers.iter().find(|server| server.port() != from.port()).unwrap();
    let node = Node::connect(&cluster.url()).await;
    let ledger = Ledger::default();
    let load = ledger.load(&node.log, "a");
    until("much is published", || ledger.len() > 200).await;

    // As `redis-cli --cluster reshard` does it, key by key.
    let slot = from.command(&["CLUSTER", "KEYSLOT", "{test}:events"]);
    let (from_id, to_id) = (from.command(&["CLUSTER", "MYID"]), to.command(&["CLUSTER", "MYID"]));
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    let target = to.port().to_string();
    loop {
        let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
        let Some(key) = keys.split_whitespace().next() else { break };
        from.command(&["MIGRATE", "127.0.0.1", &target, key, "0", "5000"]);
    }
    for server in [to, from] {
        server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }

    let before = ledger.len();
    until("publishing goes on", || ledger.len() > before + 200).await;
    load.stop().await;
    node.ready().await;
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert_eq!(cluster.owner().port(), to.port());
    let heard = node.tail.events().len();
    assert!(heard >= ledger.len(), "{heard} of {}: not even a gap is due", ledger.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_follows_a_cluster_failover() {
    // Longer than a busy machine holds up the owner, which would be replaced before it is killed.
    let mut cluster = Cluster::of(3, &["--cluster-node-timeout", "3000"]).await;
    let owner = cluster.owner().port();
    let replica = cluster.add_replica_of(owner).await;
    let url = cluster.url();
    let node = Node::connect(&url).await;
    let ledger = Ledger::default();
    let load = ledger.load(&node.log, "a");
    until("much is published", || ledger.len() > 200).await;
    until("the replica follows", || {
        cluster.server(replica).attempt(&["READONLY"]).is_some()
            && cluster.server(replica).info("master_link_status") == "up"
    })
    .await;
    cluster.server_mut(owner).kill();
    until("the replica is master", || cluster.server(replica).info("role") == "master").await;
    let before = ledger.len();
    until("publishing goes on", || ledger.len() > before + 200).await;
    load.stop().await;
    node.ready().await;
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert!(ledger.last().epoch > node.tail.begins()[0].1.epoch);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_is_replaced_by_sentinel_itself() {
    let mut master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let sentinel = Sentinel::watch(master.port());
    // Longer than a busy machine holds up the master, which would be replaced before it is killed.
    for (option, value) in [("down-after-milliseconds", "3000"), ("failover-timeout", "3000")] {
        sentinel.0.command(&["SENTINEL", "SET", "mymaster", option, value]);
    }
    until("the replica is in step", || replica.info("master_link_status") == "up").await;
    let knows = |sentinel: &Sentinel| {
        let replicas = sentinel.0.command(&["SENTINEL", "REPLICAS", "mymaster"]);
        replicas.contains(&replica.port().to_string()) && replicas.contains("master-link-status ok")
    };
    until("the sentinel knows that", || knows(&sentinel)).await;
    // From here on it wants a password; and the first of the URL's sentinels is not there.
    sentinel.0.command(&["ACL", "SETUSER", "hub", "on", ">s@", "~*", "&*", "+@all"]);
    let url = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/mymaster?sentinel_username=hub&sentinel_password=s%40",
        free_port(),
        sentinel.0.port()
    );
    sentinel.0.command(&["ACL", "SETUSER", "default", "off"]);
    let node = Node::connect(&url).await;
    let ledger = Ledger::default();
    let load = ledger.load(&node.log, "a");
    until("much is published", || ledger.len() > 200).await;
    master.kill();
    until("readiness says so", || node.log.ready().is_err()).await;
    until("the replica is master", || replica.info("role") == "master").await;
    let before = ledger.len();
    until("publishing goes on", || ledger.len() > before + 200).await;
    load.stop().await;
    node.ready().await;
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
    assert!(ledger.last().epoch > node.tail.begins()[0].1.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_and_cluster_are_reached_over_tls() {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let serve = |server: &mut RedisServer| {
        let port = free_port();
        server.serve_tls(port, &certificate, &key);
        port
    };
    let mut master = RedisServer::start(&[]);
    let mut sentinel = RedisServer::sentinel();
    let (master_port, sentinel_port) = (serve(&mut master), serve(&mut sentinel));
    let monitor = ["SENTINEL", "MONITOR", "mymaster", "127.0.0.1", &master_port.to_string(), "1"];
    sentinel.command(&monitor);
    let mut cluster = Cluster::of(2, &[]).await;
    let ports: Vec<_> = cluster.servers.iter_mut().map(serve).collect();
    until("the cluster has formed again", || {
        cluster.servers.iter().all(|server| formed(server, 2))
    })
    .await;

    let urls = [
        format!("rediss+sentinel://localhost:{sentinel_port}/mymaster"),
        // One of them sends the node on to the other.
        format!("rediss+cluster://localhost:{}", ports[0]),
        format!("rediss+cluster://localhost:{}", ports[1]),
    ];
    for url in urls {
        let mut trusting = settings(&url);
        trusting.certificate_authority = Some(certificate.clone().into_bytes());
        // The servers of the cluster first have to tell each other of their new ports.
        let begun = Instant::now();
        let node = loop {
            let tail = Arc::new(Recorder::default());
            match RedisLog::connect(trusting.clone(), tail.clone()).await {
                Ok(log) => break Node { log, tail },
                Err(error) => assert!(begun.elapsed() < TEST_TIMEOUT, "{url}: {error}"),
            }
        };
        let ledger = Ledger::default();
        ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
    }
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

/// A Redis Cluster, its slots spread evenly over its first servers.
struct Cluster {
    servers: Vec<RedisServer>,
    options: Vec<String>,
}

impl Cluster {
    async fn of(masters: usize, options: &[&str]) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut cluster = Self { servers: Vec::new(), options };
        for n in 0..masters {
            cluster.add();
            let slot = |n: usize| n * 16384 / masters;
            let range = [slot(n).to_string(), (slot(n + 1) - 1).to_string()];
            cluster.servers[n].command(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]);
            // Epochs of their own, without which equal ones would have to be resolved first.
            let epoch = (n + 1).to_string();
            cluster.servers[n].command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        cluster.meet();
        until("the cluster has formed", || {
            cluster.servers.iter().all(|server| formed(server, masters))
        })
        .await;
        cluster
    }

    fn add(&mut self) {
        let bus = free_port().to_string();
        let own = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        let options = own.into_iter().chain(self.options.iter().map(String::as_str));
        self.servers.push(RedisServer::start(&options.collect::<Vec<_>>()));
    }

    /// Introduces the last of its servers to all.
    fn meet(&self) {
        let Some((last, others)) = self.servers.split_last() else { return };
        for server in others {
            let bus = server.command(&["CONFIG", "GET", "cluster-port"]);
            let bus = bus.rsplit(' ').next().unwrap();
            last.command(&["CLUSTER", "MEET", "127.0.0.1", &server.port().to_string(), bus]);
        }
    }

    async fn add_replica_of(&mut self, master: u16) -> u16 {
        self.add();
        self.meet();
        let (replica, id) =
            (self.servers.last().unwrap(), self.server(master).command(&["CLUSTER", "MYID"]));
        until("the replica knows its master", || {
            replica.attempt(&["CLUSTER", "REPLICATE", &id]).is_some()
        })
        .await;
        let all_know = |server: &RedisServer| {
            let replicas = server.attempt(&["CLUSTER", "REPLICAS", &id]);
            replicas.is_some_and(|replicas| replicas.contains(&replica.port().to_string()))
        };
        until("all know the replica", || self.servers.iter().all(all_know)).await;
        replica.port()
    }

    fn server(&self, port: u16) -> &RedisServer {
        self.servers.iter().find(|server| server.port() == port).unwrap()
    }

    fn server_mut(&mut self, port: u16) -> &mut RedisServer {
        self.servers.iter_mut().find(|server| server.port() == port).unwrap()
    }

    /// The server that has the namespace's slot.
    fn owner(&self) -> &RedisServer {
        let owns = |server: &&RedisServer| server.attempt(&["EXISTS", "{test}:events"]).is_some();
        self.servers.iter().find(owns).unwrap()
    }

    fn url(&self) -> String {
        let nodes: Vec<_> =
            self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }
}

fn formed(server: &RedisServer, masters: usize) -> bool {
    let info = server.command(&["CLUSTER", "INFO"]);
    info.contains("cluster_state:ok")
        && info.contains("cluster_slots_assigned:16384")
        && info.contains(&format!("cluster_size:{masters}"))
        && info.contains(&format!("cluster_known_nodes:{masters}"))
}
