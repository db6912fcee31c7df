//! A node that changes hands: another process goes on as it, in the same epoch, and knows what it knew.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare_handover::{Reader, Writer};
use fanfare_log::{Between, EventLog};
use fanfare_redis::{Notice, NoticeListener, RedisLog, RedisSettings, RedisState, Unsettled};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Ledger, Node, Recorder, TEST_TIMEOUT, batch, draft, settings, until};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl NoticeListener for Heard {
    fn on_notices(&self, notices: Vec<Notice>) {
        self.0.lock().unwrap().extend(notices.into_iter().map(|notice| notice.text));
    }

    fn on_missed(&self) {
        self.0.lock().unwrap().push("missed".to_owned());
    }
}

impl Heard {
    fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// What the other process is given.
async fn settled(node: &Node) -> RedisState {
    let log = Arc::clone(&node.log);
    let state =
        tokio::task::spawn_blocking(move || log.settle(TEST_TIMEOUT)).await.unwrap().unwrap();
    let mut writer = Writer::new();
    state.write(&mut writer);
    let bytes = writer.finish();
    for end in 0..bytes.len() {
        let mut cut = Reader::new(&bytes[..end]);
        RedisState::read(&mut cut).unwrap_err();
    }
    let mut reader = Reader::new(&bytes);
    let read = RedisState::read(&mut reader).unwrap();
    reader.end().unwrap();
    assert_eq!(read, state);
    read
}

async fn resumed(settings: RedisSettings, state: RedisState) -> Node {
    let tail = Arc::new(Recorder::default());
    let log = RedisLog::resume(settings, tail.clone(), state).await.unwrap();
    Node { log, tail }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_keeps_the_epoch_and_the_notices() {
    let server = RedisServer::start(&[]);
    let (old, other) = (Node::connect(&server.url()).await, Node::connect(&server.url()).await);
    let heard = Arc::<Heard>::default();
    old.log.cluster_store().listen(heard.clone());
    let ledger = Ledger::default();
    ledger.publish(&old.log, "a", &["0.0".to_owned()]).await.unwrap();
    let notices = other.log.cluster_store();
    notices.broadcast("before").await.unwrap();
    until("the notice is heard", || heard.texts() == ["before"]).await;
    let before = ledger.last();
    let state = settled(&old).await;
    drop(old);
    notices.broadcast("meanwhile").await.unwrap();
    let new = resumed(settings(&server.url()), state).await;
    notices.broadcast("early").await.unwrap();
    ledger.publish(&new.log, "a", &["1.0".to_owned()]).await.unwrap();
    assert_eq!(ledger.last(), before.next(), "in the same epoch");
    // What has brought this would have brought the notices, which stand before it.
    new.heard(ledger.last()).await;
    assert_eq!(new.tail.begins().len(), 1);
    let heard = Arc::<Heard>::default();
    new.log.cluster_store().listen(heard.clone());
    until("nothing is missed", || heard.texts() == ["meanwhile", "early"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_old_process_had_heard_is_known() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let ways = [Proxy::to(master.port()), Proxy::to(master.port())];
    let (old, other) = (Node::connect(&ways[0].url()).await, Node::connect(&ways[1].url()).await);
    let ledger = Ledger::default();
    for n in 0..20 {
        ledger.publish(&old.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    let copied = ledger.last();
    other.heard(copied).await;
    until("the replica has all", || {
        let facts = replica.attempt(&["XINFO", "STREAM", "{test}:events"]);
        facts.is_some_and(|facts| facts.contains(&format!("last-generated-id {copied}")))
    })
    .await;
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    // The other vouches for what the replica has: it has heard all of that, and nothing more.
    ways[1].redirect(replica.port());
    until("an epoch has begun", || other.tail.heard().epoch > copied.epoch).await;
    let (lineage, at) = other.tail.begins().pop().unwrap();
    assert_eq!(lineage.between(copied, at), Between::Nothing);
    for n in 20..30 {
        ledger.publish(&old.log, "a", &[format!("{n}.0")]).await.unwrap();
    }
    let lost = ledger.last();
    old.heard(lost).await;
    let state = settled(&old).await;
    drop(old);
    ways[0].redirect(replica.port());
    let new = resumed(settings(&ways[0].url()), state).await;
    let (lineage, at) = new.tail.begins().pop().unwrap();
    assert!(at.epoch > lost.epoch, "a new epoch begins");
    for after in [lost, copied] {
        assert_eq!(lineage.between(after, at), Between::Lost, "whoever had {after} is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_process_had_heard_is_told_but_once() {
    let server = RedisServer::start(&[]);
    let old = Node::connect(&server.url()).await;
    let ledger = Ledger::default();
    ledger.publish(&old.log, "a", &["0.0".to_owned()]).await.unwrap();
    let kept = ledger.last();
    let keys = ["{test}:events", "{test}:lineage"];
    for copy in ["one", "another"] {
        for key in keys {
            server.command(&["COPY", key, &format!("{key}:{copy}")]);
        }
    }
    // The two keys agree with each other: only who has heard more can tell that they went back.
    let restore = |copy: &str| {
        let both = "for _, key in ipairs(KEYS) do redis.call('RENAME', key .. ARGV[1], key) end";
        server.command(&["EVAL", both, "2", keys[0], keys[1], &format!(":{copy}")]);
    };
    ledger.publish(&old.log, "a", &["1.0".to_owned()]).await.unwrap();
    old.heard(ledger.last()).await;
    let state = settled(&old).await;
    drop(old);
    restore("one");
    let new = resumed(settings(&server.url()), state).await;
    restore("another");
    until("another epoch has begun", || new.tail.begins().len() == 2).await;
    for (lineage, at) in new.tail.begins() {
        assert_eq!(lineage.between(kept, at), Between::Lost, "at {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_changes_hands_while_a_publish_is_on_its_way() {
    let server = RedisServer::start(&[]);
    let way = Proxy::to(server.port());
    let slow = RedisSettings { response_timeout: TEST_TIMEOUT, ..settings(&way.url()) };
    let slow = RedisSettings { publish_deadline: TEST_TIMEOUT, ..slow };
    let node = Node::with(slow).await;
    node.is_free().await;
    way.mute(true);
    let appending = node.log.append(batch(vec![draft("a", "one")]));
    // Whoever published has gone; the batch is on its way all the same.
    drop(appending);
    let within = Duration::from_millis(20);
    let settle = |within: Duration| {
        let log = Arc::clone(&node.log);
        tokio::task::spawn_blocking(move || log.settle(within))
    };
    assert_eq!(settle(within).await.unwrap(), Err(Unsettled { within }));
    way.mute(false);
    way.redirect(server.port());
    settle(TEST_TIMEOUT).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_know_what_it_missed_says_nothing() {
    let server = RedisServer::start(&[]);
    let old = Node::connect(&server.url()).await;
    let heard = Arc::<Heard>::default();
    old.log.cluster_store().listen(heard.clone());
    old.log.cluster_store().broadcast("before").await.unwrap();
    until("the notice is heard", || heard.texts() == ["before"]).await;
    let state = settled(&old).await;
    drop(old);
    server.command(&["DEL", "{test}:notices"]);
    let new = resumed(settings(&server.url()), state).await;
    let published = new.log.append(batch(vec![draft("a", "one")])).await.unwrap();
    // It has looked for what it missed before it has read this.
    new.heard(published.first).await;
    let heard = Arc::<Heard>::default();
    new.log.cluster_store().listen(heard.clone());
    until("it is told to whoever listens", || heard.texts() == ["missed"]).await;
}
