//! Order, density, whole batches.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use fanfare_event::Position;
use fanfare_log::EventLog;
use fanfare_testkit::RedisServer;

use crate::ledger::{Ledger, Node, batch, draft, until};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_publish_at_once_hear_one_order() {
    let server = RedisServer::start(&[]);
    let (one, two) = (Node::connect(&server.url()).await, Node::connect(&server.url()).await);
    let ledger = Ledger::default();
    let loads = [
        ledger.load(&one.log, "a"),
        ledger.load(&one.log, "b"),
        ledger.load(&two.log, "c"),
        ledger.load(&two.log, "d"),
    ];
    until("much is published", || ledger.len() > 3000).await;
    for load in loads {
        load.stop().await;
    }
    for node in [&one, &two] {
        node.heard(ledger.last()).await;
        ledger.judge(&node.tail);
        assert_eq!(node.tail.begins().len(), 1, "nothing was lost, and nothing is said to be");
    }
    let ids = |node: &Node| -> Vec<Position> {
        node.tail.events().iter().map(|event| event.position).collect()
    };
    let (first, second) = (ids(&one), ids(&two));
    assert_eq!(first[first.len() - second.len()..], second[..]);
    assert_eq!(second.last().unwrap().seq as usize, ledger.len(), "dense, nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_never_interleaved_with_another() {
    let server = RedisServer::start(&[]);
    let nodes = [Node::connect(&server.url()).await, Node::connect(&server.url()).await];
    let batches = (0..40).map(|n| {
        let log = nodes[n % 2].log.clone();
        tokio::spawn(async move {
            let drafts = (0..50).map(|part| draft("t", format!("{n}.{part}"))).collect();
            (n, log.append(batch(drafts)).await.unwrap())
        })
    });
    for appended in batches.collect::<Vec<_>>() {
        let (n, appended) = appended.await.unwrap();
        assert_eq!((appended.count, appended.repeated), (50, false));
        let last = appended.positions().last().unwrap();
        nodes[0].heard(last).await;
        let events = nodes[0].tail.events();
        for (part, position) in appended.positions().enumerate() {
            let event = events.iter().find(|event| event.position == position).unwrap();
            assert_eq!(&*event.message, format!("{n}.{part}"));
        }
    }
    assert_eq!(nodes[0].tail.heard().seq, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_arrives_unchanged() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let mut drafts = vec![draft("https://example.com/é", "line\r\nline\u{2028}\0"), draft("t", "")];
    drafts[1].event_type = Some(fanfare_event::EventType::parse("order.created").unwrap());
    let big = draft("t", "x".repeat(1 << 20));
    node.log.append(batch(vec![drafts[0].clone()])).await.unwrap();
    let appended = node.log.append(batch(vec![drafts[1].clone(), big.clone()])).await.unwrap();
    drafts.push(big);
    node.heard(appended.first.next()).await;
    let events = node.tail.events();
    assert_eq!(events.len(), 3);
    for (event, draft) in events.iter().zip(&drafts) {
        assert_eq!((&event.topic, &event.event_type), (&draft.topic, &draft.event_type));
        assert_eq!(event.message, draft.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_sends_three_commands_a_second() {
    let server = RedisServer::start(&[]);
    let node = Arc::new(Node::connect(&server.url()).await);
    let begun = Instant::now();
    server.command(&["CONFIG", "RESETSTAT"]);
    // All from one answer: the node goes on meanwhile.
    let info = RefCell::new(String::new());
    let calls = |command: &str| -> u64 {
        let (info, field) = (info.borrow(), format!("cmdstat_{command}:calls="));
        let calls = info.lines().find_map(|line| line.strip_prefix(&*field)?.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    };
    until("some reads have timed out", || {
        info.replace(server.attempt(&["INFO", "everything"]).unwrap_or_default());
        calls("xread") >= 4
    })
    .await;
    let reads = calls("xread");
    // It looks at the stream at once, and every five seconds, which takes three more each time.
    let looks = 1 + begun.elapsed().as_secs() / 5;
    for each in ["evalsha", "config|get"] {
        let checks = calls(each);
        assert!(
            checks <= reads + 3 * looks,
            "{checks} {each} for {reads} reads that block for a second"
        );
    }
    node.ready().await;
}
