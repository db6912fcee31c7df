//! More epochs than a lineage holds, most of them empty: their marks stay in the stream, and nobody may be
//! sent to one.

use fanfare_event::{Position, Selector};
use fanfare_log::{EpochStatus, EventLog, Lineage, PageLimit, ReadFrom};
use fanfare_testkit::RedisServer;

use crate::ledger::{Node, until};

const FENCE: &str = concat!("#!lua\n", include_str!("../../src/fence.lua"));
const PUBLISH: &str = concat!("#!lua\n", include_str!("../../src/publish.lua"));
const EVENTS: &str = "{test}:events";
const LINEAGE: &str = "{test}:lineage";
const NOTICES: &str = "{test}:notices";
const FIRST: u64 = 1_000_000;
const EPOCHS: u64 = 2_000;

/// In which of them something is published: long ago, in the middle, and of late.
const BUSY: [u64; 5] = [FIRST + 3, FIRST + 4, FIRST + 1_100, FIRST + 1_990, FIRST + EPOCHS - 1];
const EVENTS_EACH: u64 = 5;

/// Of these, nobody vouches for what is left.
fn may_be_lost(epoch: u64) -> bool {
    (FIRST + 200..FIRST + 600).contains(&epoch)
}

/// As many starts of another server, and what a lineage in Rust makes of them.
fn begin_epochs(server: &RedisServer) -> Lineage {
    let load = |script| server.command(&["SCRIPT", "LOAD", script]);
    let (fence, publish) = (load(FENCE), load(PUBLISH));
    let (most, recent) = (Lineage::MAX_ANCESTORS.to_string(), Lineage::RECENT.to_string());
    let mut lineage = None::<Lineage>;
    let mut end = Position::ORIGIN;
    for epoch in FIRST..FIRST + EPOCHS {
        let heard = end.to_string();
        let name = epoch.to_string();
        let mut fencing =
            vec!["EVALSHA", &fence, "3", EVENTS, LINEAGE, NOTICES, &name, &most, &recent, "", ""];
        if lineage.is_some() {
            server.command(&["HSET", LINEAGE, "server", "another"]);
            if !may_be_lost(end.epoch) {
                fencing.push(&heard);
            }
        }
        server.command(&fencing);
        end = Position::new(epoch, 0);
        match &mut lineage {
            Some(lineage) => {
                let before = parse(&heard);
                let lossy = may_be_lost(before.epoch);
                assert_eq!(lineage.begin(epoch, before.seq, lossy), epoch);
            }
            None => lineage = Some(Lineage::root(epoch)),
        }
        if BUSY.contains(&epoch) {
            let mut call = vec!["EVALSHA", &publish, "2", EVENTS, LINEAGE, &name, "0", "1000000"];
            call.extend(["1", ""]);
            (0..EVENTS_EACH).for_each(|_| call.extend(["default", "", "message", ""]));
            server.command(&call);
            end = Position::new(epoch, EVENTS_EACH);
        }
    }
    lineage.unwrap()
}

fn parse(position: &str) -> Position {
    position.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_is_sent_to_a_forgotten_epoch() {
    let server = RedisServer::start(&[]);
    let expected = begin_epochs(&server);
    let node = Node::connect(&server.url()).await;
    let (lineage, last) = node.tail.begins().pop().unwrap();
    assert_eq!(lineage, expected, "both forget by the same rule");
    assert_eq!(last, Position::new(FIRST + EPOCHS - 1, EVENTS_EACH));
    assert_eq!(lineage.ends().len(), Lineage::MAX_ANCESTORS);

    // Every position that a client may be given is one from which it can go on.
    let is_named =
        |position: Position| lineage.epoch_status(position.epoch) != EpochStatus::Unknown;
    for (events, bytes) in [(1, 1), (1000, 1 << 20)] {
        let limit = PageLimit { events, bytes };
        for start in [Position::ORIGIN, Position::new(BUSY[0], 2), Position::new(BUSY[2], 5)] {
            let (mut from, mut read) = (ReadFrom::After(start), Vec::new());
            if start == Position::ORIGIN {
                from = ReadFrom::Earliest;
            }
            let mut at = start.max(Position::new(lineage.oldest(), 0));
            while at < last {
                // As the hub does it: no page crosses a loss.
                let mut until = last;
                if let Some(loss) = lineage.next_loss(at, last) {
                    if at >= loss.after {
                        at = loss.resumes;
                        from = ReadFrom::After(at);
                        continue;
                    }
                    until = loss.after;
                }
                let log = node.log.clone();
                let reading = tokio::task::spawn_blocking(move || {
                    log.read(from, until, &Selector::default(), limit)
                });
                let page = reading.await.unwrap().unwrap();
                assert_eq!(page.trimmed, None);
                assert!(page.next > at && is_named(page.next), "{at} leads to {}", page.next);
                read.extend(page.events.iter().map(|event| event.position));
                at = page.next;
                from = ReadFrom::After(at);
            }
            let all = BUSY
                .iter()
                .flat_map(|&epoch| (1..=EVENTS_EACH).map(move |seq| Position::new(epoch, seq)));
            assert_eq!(read, all.filter(|&position| position > start).collect::<Vec<_>>());
        }
    }

    // Nor is it told that nothing is retained up to such an epoch.
    let forgotten = Position::new(FIRST + 800, 0);
    assert!(!is_named(forgotten));
    server.command(&["XTRIM", EVENTS, "MINID", "=", &forgotten.to_string()]);
    let end = Position::new(FIRST + 599, 0);
    until("the trim is told", || node.tail.trimmed() >= end).await;
    assert_eq!(node.tail.trimmed(), end);
}
