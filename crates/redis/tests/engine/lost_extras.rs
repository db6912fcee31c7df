//! What few events have is lost on its way through Redis, or read as something else: further topics, privacy,
//! an id.

use std::time::Duration;

use fanfare_event::{Draft, EventId, Extras, Position, Selector, Topic};
use fanfare_log::{EventLog, PageLimit, ReadFrom};
use fanfare_testkit::RedisServer;

use crate::ledger::{Node, batch, draft, keyed, settings, until};

fn draft_with_extras(topics: &[&str], private: bool, id: Option<&str>, message: &str) -> Draft {
    let others = topics[1..].iter().map(|name| Topic::parse(name).unwrap());
    let plain = draft(topics[0], message);
    let id = id.map(|id| EventId::parse(id).unwrap());
    Draft { extras: Extras::new(&plain.topic, others, private, id).unwrap(), ..plain }
}

async fn find(node: &Node, id: &str) -> Option<Position> {
    node.log.find(&EventId::parse(id).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_hears_the_same() {
    let server = RedisServer::start(&[]);
    let (one, other) = (Node::connect(&server.url()).await, Node::connect(&server.url()).await);
    let mut drafts = vec![
        draft_with_extras(&["a", "b"], false, None, "0"),
        draft_with_extras(&["a"], true, Some("urn:1"), "1"),
        draft("a", "2"),
        draft_with_extras(&["c", "d", "e"], true, Some("urn:2"), "3"),
    ];
    for (at, retry) in [(2, 0), (3, 1500)] {
        drafts[at].extras = Extras::with_retry(drafts[at].extras.take(), Some(retry));
    }
    let first = one.log.append(batch(drafts.clone())).await.unwrap().first;
    let again = one
        .log
        .append(keyed(vec![draft_with_extras(&["a"], false, Some("urn:1"), "4")], "k"))
        .await;
    let again = again.unwrap().first;
    other.heard(again).await;
    for (heard, draft) in other.tail.events().iter().zip(&drafts) {
        let Draft { topic, event_type, message, extras } = draft;
        assert_eq!((&heard.topic, &heard.event_type, &heard.message), (topic, event_type, message));
        assert_eq!(&heard.extras, extras);
    }
    for node in [&one, &other] {
        assert_eq!(find(node, "urn:1").await, Some(first.plus(1)), "the earliest");
        assert_eq!(find(node, "urn:2").await, Some(first.plus(3)));
        assert_eq!(find(node, "urn:3").await, None);
    }
    // A node that comes later finds them too.
    let late = Node::connect(&server.url()).await;
    assert_eq!(find(&late, "urn:2").await, Some(first.plus(3)));
    let read = |topics: &'static [&'static str]| {
        let log = late.log.clone();
        tokio::task::spawn_blocking(move || {
            let selector = Selector::parse(topics.iter().copied(), []).unwrap();
            let limit = PageLimit { events: 10, bytes: 1 << 20 };
            let page = log.read(ReadFrom::Earliest, again, &selector, limit).unwrap();
            page.events.iter().map(|event| event.message.to_string()).collect::<Vec<_>>()
        })
    };
    assert_eq!(read(&["b", "e", "a"]).await.unwrap(), ["0", "1", "2", "3", "4"], "each once");
    assert_eq!(read(&["d"]).await.unwrap(), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_means_the_first_of_its_events_and_then_none() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let mut of_one = Vec::new();
    for n in 0..4 {
        let other = draft_with_extras(&["a"], false, Some(&format!("urn:other:{n}")), "m");
        let drafts = vec![draft_with_extras(&["a"], false, Some("urn:1"), "m"), other];
        of_one.push(node.log.append(batch(drafts)).await.unwrap().first);
    }
    for (n, at) in of_one.iter().enumerate() {
        let first = (n == 0).then_some(*at);
        assert_eq!(find(&node, "urn:1").await, first, "{n}: behind the next, others are missing");
        // Everything up to it goes.
        let next = at.next().to_string();
        server.command(&["XTRIM", "{test}:events", "MINID", "=", &next]);
        node.log.append(batch(vec![draft("a", "what makes the node look")])).await.unwrap();
        let left = 7 - 2 * n as i64;
        until("what is gone is forgotten", || server.number(&["LLEN", "{test}:ids:order"]) <= left)
            .await;
    }
    assert_eq!(find(&node, "urn:1").await, None);
    assert_eq!(server.number(&["HLEN", "{test}:ids"]), 1, "nothing of the others is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_go_with_their_events() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    // Longer than the pause between two looks at the stream: what expires was measured before.
    settings.retention.age = Duration::from_secs(7);
    let node = Node::with(settings).await;
    for n in 0..20 {
        let drafts = vec![draft_with_extras(&["a"], false, Some(&format!("urn:{n}")), "m")];
        node.log.append(batch(drafts)).await.unwrap();
    }
    assert_eq!(server.number(&["HLEN", "{test}:ids"]), 20);
    until("all is gone", || server.number(&["XLEN", "{test}:events"]) == 0).await;
    let ids = || server.number(&["LLEN", "{test}:ids:order"]);
    until("their ids are forgotten, though nothing follows", || ids() == 0).await;
    // What keeps the stream from being empty.
    let last = draft_with_extras(&["a"], false, Some("urn:0"), "m");
    let last = node.log.append(batch(vec![last])).await.unwrap().first;
    assert_eq!(find(&node, "urn:0").await, Some(last));
    assert_eq!((ids(), server.number(&["HLEN", "{test}:ids"])), (1, 1));
}
