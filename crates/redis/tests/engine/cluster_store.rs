//! What nodes share beside the log: deposits that are given out once, notices that all hear, the
//! roll of who is there.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fanfare_log::EventLog;
use fanfare_redis::{ClusterStore, Notice, NoticeListener, RedisSettings};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Node, settings, until};

const LONG: Duration = Duration::from_secs(60);

/// Writes down what it hears, when that was given, and how often it has missed something.
#[derive(Default)]
struct Heard(Mutex<Vec<(String, Instant)>>, AtomicUsize);

impl NoticeListener for Heard {
    fn on_notices(&self, notices: Vec<Notice>) {
        let given = |notice: Notice| (notice.text, Instant::now() - notice.age);
        self.0.lock().unwrap().extend(notices.into_iter().map(given));
    }

    fn on_missed(&self) {
        self.1.fetch_add(1, SeqCst);
    }
}

impl Heard {
    fn at(node: &Node) -> Arc<Self> {
        let heard = Arc::new(Self::default());
        node.log.cluster_store().listen(heard.clone());
        heard
    }

    fn missed(&self) -> usize {
        self.1.load(SeqCst)
    }

    fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(text, _)| text.clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_given_out_once_at_whichever_node() {
    let server = RedisServer::start(&[]);
    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    let [one, two] = nodes.each_ref().map(|node| node.log.cluster_store().clone());
    one.deposit("a", "for a", LONG).await.unwrap();
    let takers: Vec<_> = (0..20)
        .map(|n| {
            let taker: Arc<ClusterStore> = [&one, &two][n % 2].clone();
            tokio::spawn(async move { taker.withdraw("a").await.unwrap() })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    assert_eq!(taken, ["for a"]);
    assert_eq!(two.withdraw("never left").await.unwrap(), None);
    one.deposit("b", "for b", Duration::from_millis(50)).await.unwrap();
    until("it has expired", || server.number(&["EXISTS", "{test}:deposit:b"]) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_restarts_between_two_requests_costs_neither() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let node = Node::connect(&server.url()).await;
    node.log.cluster_store().deposit("a", "for a", LONG).await.unwrap();
    server.restart();
    // Only then has it noticed.
    until("an epoch has begun", || node.tail.begins().len() == 2).await;
    node.ready().await;
    assert_eq!(node.log.cluster_store().withdraw("a").await.unwrap().as_deref(), Some("for a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_survives_a_lost_answer() {
    let server = RedisServer::start(&[]);
    let way = Proxy::to(server.port());
    let node = Node::with(RedisSettings { response_timeout: LONG, ..settings(&way.url()) }).await;
    let store = node.log.cluster_store().clone();
    store.deposit("a", "for a", LONG).await.unwrap();
    way.mute(true);
    let taking = tokio::spawn(async move { store.withdraw("a").await.unwrap() });
    let is_taken = || server.command(&["GETRANGE", "{test}:deposit:a", "0", "0"]) != " ";
    until("it is given out", is_taken).await;
    way.redirect(server.port());
    way.mute(false);
    assert_eq!(taking.await.unwrap().as_deref(), Some("for a"));
    let other = Node::connect(&server.url()).await;
    assert_eq!(other.log.cluster_store().withdraw("a").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_given_once_despite_a_lost_answer() {
    let server = RedisServer::start(&[]);
    let way = Proxy::to(server.port());
    let node = Node::with(RedisSettings { response_timeout: LONG, ..settings(&way.url()) }).await;
    let other = Node::connect(&server.url()).await;
    let heard = Heard::at(&other);
    let store = node.log.cluster_store().clone();
    store.broadcast("before").await.unwrap();
    way.mute(true);
    let giving = tokio::spawn(async move { store.broadcast("once").await.unwrap() });
    until("it is given", || heard.texts() == ["before", "once"]).await;
    way.redirect(server.port());
    way.mute(false);
    giving.await.unwrap();
    other.log.cluster_store().broadcast("after").await.unwrap();
    until("what follows is heard", || heard.texts() == ["before", "once", "after"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_stopped_redis_is_answered() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let store = node.log.cluster_store();
    store.deposit("a", "for a", LONG).await.unwrap();
    server.stop();
    let error = store.deposit("b", "for b", LONG).await.unwrap_err().to_string();
    assert!(error.contains("no answer within"), "{error}");
    until("the node notices", || node.log.ready().is_err()).await;
    store.broadcast("late").await.unwrap_err();
    server.go_on();
    node.ready().await;
    assert_eq!(store.withdraw("a").await.unwrap().as_deref(), Some("for a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_hears_a_notice_also_one_that_was_away() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let (here, away) = (Node::connect(&server.url()).await, Node::connect(&proxy.url()).await);
    let (heard, heard_late) = (Heard::at(&here), Heard::at(&away));
    here.log.cluster_store().broadcast("first").await.unwrap();
    until("both hear", || [&heard, &heard_late].iter().all(|h| h.texts() == ["first"])).await;

    // Port 1 is where nobody listens.
    proxy.redirect(1);
    until("it is away", || away.log.ready().is_err()).await;
    let before = Instant::now();
    here.log.cluster_store().broadcast("second").await.unwrap();
    let after = Instant::now();
    until("one hears", || heard.texts() == ["first", "second"]).await;
    proxy.redirect(server.port());
    until("the other hears", || heard_late.texts() == ["first", "second"]).await;
    // A millisecond is what clocks of milliseconds differ by.
    let (_, given) = heard_late.0.lock().unwrap()[1];
    assert!(given + Duration::from_millis(1) >= before, "given before it was given");
    assert!(given <= after + LONG, "given long after");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_comes_through_when_memory_is_full_and_after_a_flush() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let heard = Heard::at(&node);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    node.log.cluster_store().broadcast("full").await.unwrap();
    until("it is heard", || heard.texts() == ["full"]).await;
    node.log.cluster_store().deposit("a", "for a", LONG).await.unwrap();
    assert_eq!(node.log.cluster_store().withdraw("a").await.unwrap().as_deref(), Some("for a"));
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    server.command(&["FLUSHALL"]);
    until("an epoch begins", || node.tail.begins().len() == 2).await;
    node.log.cluster_store().broadcast("flushed").await.unwrap();
    until("it is heard", || heard.texts().last().is_some_and(|last| last == "flushed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_bounded() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let fill = "for n = 1, 5000 do redis.call('XADD', KEYS[1], '*', 't', 'old') end";
    server.command(&["EVAL", fill, "1", "{test}:notices"]);
    node.log.cluster_store().broadcast("new").await.unwrap();
    assert_eq!(server.number(&["XLEN", "{test}:notices"]), ClusterStore::MAX_NOTICES as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_too_late_is_not_told_that_it_missed_notices() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let (here, away) = (Node::connect(&server.url()).await, Node::connect(&proxy.url()).await);
    let (heard, heard_late) = (Heard::at(&here), Heard::at(&away));
    let give = |text: &'static str| {
        let store = here.log.cluster_store().clone();
        async move { store.broadcast(text).await.unwrap() }
    };
    // What they know of before the first is that there is none.
    proxy.redirect(1);
    until("it is away", || away.log.ready().is_err()).await;
    give("first").await;
    proxy.redirect(server.port());
    until("it hears", || heard_late.texts() == ["first"]).await;
    assert_eq!(heard_late.missed(), 0);

    // Of all that is given meanwhile, the last is kept.
    proxy.redirect(1);
    until("it is away", || away.log.ready().is_err()).await;
    give("second").await;
    give("third").await;
    server.command(&["XTRIM", "{test}:notices", "MAXLEN", "1"]);
    proxy.redirect(server.port());
    until("it knows", || heard_late.missed() == 1).await;
    give("fourth").await;
    until("it hears", || heard_late.texts().last().is_some_and(|last| last == "fourth")).await;
    assert_eq!((heard_late.missed(), heard.missed()), (1, 0));

    // They are all lost.
    server.command(&["DEL", "{test}:notices"]);
    give("fifth").await;
    until("both know", || (heard_late.missed(), heard.missed()) == (2, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roll_is_of_those_who_are_there() {
    let server = RedisServer::start(&[]);
    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    let [one, two] = nodes.each_ref().map(|node| node.log.cluster_store().clone());
    assert_eq!(one.heartbeat("one", "I am one").await.unwrap(), ["I am one"]);
    let mut lines = two.heartbeat("two", "I am two").await.unwrap();
    lines.sort();
    assert_eq!(lines, ["I am one", "I am two"]);
    // One that has said nothing for long.
    server.command(&["HSET", "{test}:nodes", "three", "1000 I was three"]);
    assert_eq!(one.heartbeat("one", "I am one still").await.unwrap().len(), 2);
    assert_eq!(server.number(&["HLEN", "{test}:nodes"]), 2);
    two.leave("two").await.unwrap();
    assert_eq!(one.heartbeat("one", "alone").await.unwrap(), ["alone"]);
    let left = server.number(&["PTTL", "{test}:nodes"]);
    assert!((1..=15_000).contains(&left), "{left} ms");

    let time = server.command(&["TIME"]);
    let now = format!("{}000 crowd", time.split(' ').next().unwrap());
    // At once: who has said nothing for fifteen seconds is not listed.
    let names: Vec<_> = (0..ClusterStore::MAX_NODES).map(|n| format!("n{n}")).collect();
    let crowd = names.iter().flat_map(|name| [name.as_str(), now.as_str()]);
    server.command(&["HSET", "{test}:nodes"].into_iter().chain(crowd).collect::<Vec<_>>());
    assert_eq!(two.heartbeat("two", "late").await.unwrap().len(), ClusterStore::MAX_NODES + 2);
    assert_eq!(server.number(&["HEXISTS", "{test}:nodes", "two"]), 0, "there is no room");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_notice_goes_to_a_replaced_server() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    until("the replica follows", || replica.info("master_link_status") == "up").await;
    let way = Proxy::to(master.port());
    let node = Node::connect(&way.url()).await;
    // Its connection is kept for the next.
    node.log.cluster_store().leave("nobody").await.unwrap();
    let copied = || replica.attempt(&["XLEN", "{test}:events"]).as_deref() == Some("1");
    until("the replica has the stream", copied).await;
    let first = node.tail.heard();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    // Whoever connects from now on finds the new master: all but what has asked for that.
    way.redirect_to_port(replica.port());
    for client in master.command(&["CLIENT", "LIST"]).lines() {
        if !client.contains("cmd=hdel") {
            let id = client.split_whitespace().find_map(|field| field.strip_prefix("id=")).unwrap();
            // The one that asks is gone by now.
            master.attempt(&["CLIENT", "KILL", "ID", id]);
        }
    }
    until("an epoch has begun", || node.tail.heard().epoch > first.epoch).await;
    let other = Node::connect(&replica.url()).await;
    let heard = Heard::at(&other);
    until("the node hears its engine", || node.log.is_in_step()).await;
    node.log.cluster_store().broadcast("to all").await.unwrap();
    until("the other hears it", || heard.texts() == ["to all"]).await;
}
