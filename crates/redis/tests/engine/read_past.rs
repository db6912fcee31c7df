//! Reading the past: pages, selectors, and what was trimmed.

use std::sync::Arc;
use std::time::Instant;

use fanfare_event::{Event, Position, Selector};
use fanfare_log::{EventLog, Page, PageLimit, ReadFrom};
use fanfare_redis::RedisLog;
use fanfare_testkit::RedisServer;
use tokio::time::{Duration, sleep};

use crate::ledger::{Node, TEST_TIMEOUT, batch, draft, settings, until};

async fn read(log: &Arc<RedisLog>, from: ReadFrom, until: Position, selector: &Selector) -> Page {
    let (log, selector) = (log.clone(), selector.clone());
    let limit = PageLimit { events: 7, bytes: 10_000 };
    tokio::task::spawn_blocking(move || log.read(from, until, &selector, limit).unwrap())
        .await
        .unwrap()
}

/// All pages, and where the first gap ended.
async fn read_all(
    log: &Arc<RedisLog>,
    mut from: ReadFrom,
    until: Position,
    selector: &Selector,
) -> (Vec<Arc<Event>>, Option<Position>) {
    let (mut events, mut gap) = (Vec::new(), None);
    loop {
        let page = read(log, from, until, selector).await;
        assert!(page.events.len() <= 7);
        gap = gap.or(page.trimmed);
        events.extend(page.events);
        if page.next >= until {
            return (events, gap);
        }
        from = ReadFrom::After(page.next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_into_exactly_what_the_selector_wants() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let node = Node::connect(&server.url()).await;
    let start = node.tail.heard();
    let topics = ["orders/1", "orders/2", "chat"];
    for part in 0..2 {
        for n in 0..100 {
            let one = batch(vec![draft(topics[n % 3], format!("{part}.{n}"))]);
            node.log.append(one).await.unwrap();
        }
        // The second half is another epoch.
        if part == 0 {
            server.restart();
            until("the epoch has begun", || node.tail.begins().len() == 2).await;
            node.ready().await;
        }
    }
    let end = node.tail.begins().pop().unwrap().1.plus(100);
    node.heard(end).await;
    let selector = Selector::parse(["orders/*"], []).unwrap();
    let expected: Vec<_> =
        node.tail.events().into_iter().filter(|event| selector.matches(event)).collect();
    assert!(expected.len() > 120);
    for from in [ReadFrom::After(start), ReadFrom::Earliest] {
        let (events, gap) = read_all(&node.log, from, end, &selector).await;
        assert_eq!((&events, gap), (&expected, None));
    }
    let after = expected[40].position;
    let (events, gap) = read_all(&node.log, ReadFrom::After(after), end, &selector).await;
    assert_eq!((&events[..], gap), (&expected[41..], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_reported_if_and_only_if_something_was_trimmed_after_the_cursor() {
    let server = RedisServer::start(&[]);
    let node = Node::with(settings(&server.url())).await;
    let drafts = (0..20).map(|n| draft("default", format!("0.{n}"))).collect();
    let first = node.log.append(batch(drafts)).await.unwrap().first;
    let last = first.plus(19);
    node.heard(last).await;
    let selector = Selector::default();
    let at = |seq| Position::new(first.epoch, seq);
    server.command(&["XTRIM", "{test}:events", "MINID", "=", &at(6).to_string()]);
    for (cursor, gap, count) in [(4, Some(at(5)), 15), (5, None, 15), (6, None, 14)] {
        let found = read_all(&node.log, ReadFrom::After(at(cursor)), last, &selector).await;
        assert_eq!((found.0.len(), found.1), (count, gap), "cursor {cursor}");
    }
    let (events, gap) = read_all(&node.log, ReadFrom::Earliest, last, &selector).await;
    assert_eq!((events.len(), gap), (15, None));
    // A hole made by hand is a gap too.
    server.command(&["XDEL", "{test}:events", &at(12).to_string()]);
    let (events, gap) = read_all(&node.log, ReadFrom::After(at(8)), last, &selector).await;
    assert_eq!((events.len(), gap), (11, Some(at(12))));
    // All gone: everything up to the end is.
    server.command(&["XTRIM", "{test}:events", "MAXLEN", "0"]);
    let (events, gap) = read_all(&node.log, ReadFrom::After(at(8)), last, &selector).await;
    assert_eq!((events.len(), gap), (0, Some(last)));
    let (_, gap) = read_all(&node.log, ReadFrom::After(last), last, &selector).await;
    assert_eq!(gap, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_topic_has_no_gap_because_another_was_trimmed() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let start = node.tail.heard();
    let topics = ["chat", "orders/1", "chat", "chat", "orders/1", "chat"];
    let drafts = topics.iter().map(|topic| draft(topic, "m")).collect();
    let first = node.log.append(batch(drafts)).await.unwrap().first;
    let last = first.plus(5);
    node.heard(last).await;
    // What stands up to the fourth is gone, before anyone has looked.
    server.command(&["XTRIM", "{test}:events", "MINID", "=", &first.plus(4).to_string()]);
    let late = Node::connect(&server.url()).await;
    for (topic, after, gap, count) in [
        ("orders/1", first.plus(1), None, 1),
        ("orders/1", first, Some(first.plus(3)), 1),
        ("orders/*", first.plus(2), None, 1),
        ("never/published", start, None, 0),
        ("chat", first.plus(1), Some(first.plus(3)), 1),
        ("**", first.plus(2), Some(first.plus(3)), 2),
    ] {
        let selector = Selector::parse([topic], []).unwrap();
        let found = read_all(&node.log, ReadFrom::After(after), last, &selector).await;
        assert_eq!((found.1, found.0.len()), (gap, count), "{topic} after {after}");
        // A node that has not heard of what was trimmed cannot tell, and says so.
        let found = read_all(&late.log, ReadFrom::After(after), last, &selector).await;
        assert_eq!((found.1, found.0.len()), (Some(first.plus(3)), count), "{topic} after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_has_read_others_do_not_read_again() {
    let server = RedisServer::start(&[]);
    let node = Node::connect(&server.url()).await;
    let start = node.tail.heard();
    let drafts = (0..200).map(|n| draft(&format!("t/{}", n % 10), format!("{n}"))).collect();
    let last = node.log.append(batch(drafts)).await.unwrap().first.plus(199);
    node.heard(last).await;
    // What looks after the stream asks for ranges, too.
    node.is_free().await;
    let ranges = || {
        let field = server.info("cmdstat_xrange");
        let calls = field.split(',').find_map(|part| part.strip_prefix("calls="));
        calls.map_or(0, |calls| calls.parse::<u64>().unwrap())
    };
    let limit = PageLimit { events: 500, bytes: 256 << 10 };
    let page = |topic: usize, from: ReadFrom| {
        let log = Arc::clone(&node.log);
        let selector = Selector::parse([format!("t/{topic}").as_str()], []).unwrap();
        let read = tokio::task::spawn_blocking(move || log.read(from, last, &selector, limit));
        async { read.await.unwrap().unwrap() }
    };
    let begun = Instant::now();
    loop {
        let whole = page(0, ReadFrom::After(start)).await;
        assert_eq!((whole.events.len(), whole.trimmed), (20, None));
        let once = ranges();
        for topic in 1..10 {
            // Each stands somewhere else.
            let after = ReadFrom::After(start.plus(10 * topic as u64));
            let page = page(topic, after).await;
            assert_eq!((page.events.len(), page.trimmed, page.next), (20 - topic, None, last));
        }
        let read_for_all = ranges() == once;
        sleep(Duration::from_millis(1100)).await;
        if read_for_all {
            break;
        }
        // It was old before all had read it, or the stream was looked after meanwhile.
        assert!(begun.elapsed() < TEST_TIMEOUT, "each reads for itself");
    }
    let again = ranges();
    page(1, ReadFrom::After(start)).await;
    assert!(ranges() > again, "what is old is read anew");
}
