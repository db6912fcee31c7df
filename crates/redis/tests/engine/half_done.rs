//! A script is stopped midway, by a rule that denies one of its commands: what it has done so far
//! does no harm, and running it again completes it.

use std::sync::Arc;

use fanfare_event::Draft;
use fanfare_log::{EpochStatus, EventLog};
use fanfare_redis::RedisLog;
use fanfare_testkit::RedisServer;

use crate::ledger::{Node, Recorder, draft, keyed, named, settings, until};

/// Every command that a script calls: by which it writes, and by which it reads, which it may do in between.
const COMMANDS: [&str; 20] = [
    "xadd",
    "hset",
    "set",
    "hdel",
    "xtrim",
    "pexpire",
    "rpush",
    "lpop",
    "get",
    "hget",
    "hmget",
    "hgetall",
    "lindex",
    "xrange",
    "xrevrange",
    "xinfo",
    "type",
    "exists",
    "time",
    "info",
];

/// A server with a user who may do everything, and whose rights a test can take away.
fn guarded() -> (RedisServer, String) {
    let all = ["--user", "hub", "on", ">p", "~*", "&*", "+@all"];
    let server = RedisServer::start(
        &[&["--appendonly", "yes", "--appendfsync", "always"], &all[..]].concat(),
    );
    let url = format!("redis://hub:p@127.0.0.1:{}", server.port());
    (server, url)
}

fn deny(server: &RedisServer, command: &str) {
    server.command(&["ACL", "SETUSER", "hub", &format!("-{command}")]);
}

fn allow(server: &RedisServer, command: &str) {
    server.command(&["ACL", "SETUSER", "hub", &format!("+{command}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_stopped_midway_forgets_nothing() {
    for command in COMMANDS {
        let (mut server, url) = guarded();
        let mut ends = Vec::new();
        for n in 0..2 {
            let node = Node::connect(&url).await;
            let appended =
                node.log.append(keyed(vec![draft("a", format!("{n}.0"))], &n.to_string()));
            ends.push(appended.await.unwrap().first);
            drop(node);
            server.restart();
            until("it has loaded what it kept", || server.info("loading") == "0").await;
        }
        deny(&server, command);
        for _ in 0..3 {
            let _ = RedisLog::connect(settings(&url), Arc::new(Recorder::default())).await;
        }
        allow(&server, command);
        let node = Node::connect(&url).await;
        let (lineage, at) = node.tail.begins().pop().unwrap();
        for end in &ends {
            assert_eq!(
                lineage.epoch_status(end.epoch),
                EpochStatus::EndedAt(*end),
                "without {command}"
            );
        }
        assert!(lineage.continuous(ends[1], at), "without {command}");
        let heard: Vec<_> = server
            .command(&["XRANGE", "{test}:events", "-", "+"])
            .split(' ')
            .filter(|word| word.ends_with(".0"))
            .map(str::to_owned)
            .collect();
        assert_eq!(heard, ["0.0", "1.0"], "without {command}");
    }
}

/// Whether a publish was kept, or nothing of it, and whether another try completes it.
async fn stops_or_not(server: &RedisServer, node: &Node, what: &str, stop: impl AsyncFn(bool)) {
    // Ids that are known already, one of them twice in a batch.
    let messages = |n: usize| -> Vec<Draft> {
        let ids = ["urn:a", "urn:b", "urn:a", ""];
        let message = |(part, id): (usize, &str)| match id {
            "" => draft("a", format!("{n}.{part}")),
            id => named("a", format!("{n}.{part}"), id),
        };
        ids.into_iter().enumerate().map(message).collect()
    };
    let before = node.log.append(keyed(messages(0), "before")).await.unwrap();
    stop(true).await;
    let stopped = node.log.append(keyed(messages(1), "key")).await;
    let left = || server.command(&["XRANGE", "{test}:events", "-", "+"]).matches("1.").count();
    match &stopped {
        Ok(appended) => assert_eq!((appended.repeated, left()), (false, 4), "{what}"),
        Err(_) => assert_eq!(left(), 0, "nothing was kept, {what}"),
    }
    stop(false).await;
    node.ready().await;
    let again = node.log.append(keyed(messages(1), "key")).await.unwrap();
    assert_eq!((again.repeated, left()), (stopped.is_ok(), 4), "{what}");
    assert_eq!(again.first, before.first.plus(4), "and no position is passed over");
    let known = node.log.append(keyed(messages(1), "key")).await.unwrap();
    assert_eq!((known.repeated, known.first), (true, again.first));
    node.heard(again.first.plus(3)).await;
    assert_eq!(node.tail.begins().len(), 1, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_stopped_midway_is_whole_or_nothing() {
    for command in COMMANDS {
        let (server, url) = guarded();
        let node = Node::connect(&url).await;
        let stop = async |stops: bool| {
            if stops { deny(&server, command) } else { allow(&server, command) }
        };
        stops_or_not(&server, &node, &format!("without {command}"), stop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_on_a_key_of_another_type_leaves_nothing_behind() {
    for key in ["{test}:ids", "{test}:ids:order", "{test}:key:key"] {
        let (server, url) = guarded();
        let node = Node::connect(&url).await;
        let stop = async |stops: bool| {
            if stops {
                server.command(&["SADD", "{test}:other", "not ours"]);
                server.command(&["RENAME", "{test}:other", key]);
            } else {
                let ours = server.command(&["TYPE", key]) != "set";
                assert!(ours || server.command(&["SMEMBERS", key]) == "not ours");
                if !ours {
                    server.command(&["DEL", key]);
                }
            }
        };
        stops_or_not(&server, &node, &format!("{key} is a set"), stop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_without_a_place_in_the_order_expires() {
    let (server, url) = guarded();
    let node = Node::connect(&url).await;
    deny(&server, "rpush");
    node.log.append(keyed(vec![named("a", "0.0", "urn:a")], "key")).await.unwrap();
    assert_eq!(server.number(&["HLEN", "{test}:ids"]), 0, "nothing would ever forget it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_share_expires_and_is_given_once() {
    for command in COMMANDS {
        let (server, url) = guarded();
        let node = Node::connect(&url).await;
        let store = node.log.cluster_store();
        let keep = std::time::Duration::from_secs(60);
        deny(&server, command);
        let kept = store.deposit("a", "for a", keep).await.is_ok();
        if server.number(&["EXISTS", "{test}:deposit:a"]) == 1 {
            assert!(server.number(&["PTTL", "{test}:deposit:a"]) > 0, "without {command}");
        }
        let taken = store.withdraw("a").await.ok().flatten();
        let _ = store.broadcast("notice").await;
        let _ = store.heartbeat("one", "I am one").await;
        allow(&server, command);
        node.ready().await;
        if !kept {
            store.deposit("a", "for a", keep).await.unwrap();
        }
        if taken.is_none() {
            assert_eq!(store.withdraw("a").await.unwrap().as_deref(), Some("for a"));
        }
        assert_eq!(store.withdraw("a").await.unwrap(), None, "without {command}");
        store.broadcast("another").await.unwrap();
        let given = server.command(&["XRANGE", "{test}:notices", "-", "+"]);
        assert_eq!(given.matches("another").count(), 1, "without {command}: {given}");
        assert_eq!(store.heartbeat("one", "I am one").await.unwrap(), ["I am one"]);
        until("the roll ends some day", || server.number(&["PTTL", "{test}:nodes"]) > 0).await;
    }
}
