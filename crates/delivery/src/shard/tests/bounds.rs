//! What one shard may be made to do at once, or to hold, by whoever is slow, many or far behind.
//! Everything is counted; nothing is timed.
//!
//! Invariants: *bounded*, *nobody waits*.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_event::{PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Interest, Requested, WindowBounds};

use super::rig::{HEAD, Rig, events, text};
use crate::counters::CloseReason;
use crate::cursor::Cursor;
use crate::listing::TopicCount;
use crate::ready::Ready;
use crate::settings::StepLimits;
use crate::simulated_socket::SimulatedSocket;
use crate::subscription::NewSubscriber;
use crate::wire::{Framing, Wire};

#[test]
fn a_client_that_sips_has_each_event_read_at_most_twice() {
    const EVENTS: usize = 300;
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 40 });
    rig.publish((0..EVENTS).map(|n| ("a", format!("{n}"))));
    let socket = rig.ask("a", &Requested::Earliest);
    rig.turn();
    let mut received = String::new();
    for _ in 0..EVENTS * 10 {
        rig.room(&socket, 25);
        rig.read_all();
        received.push_str(&text(&socket));
    }
    assert_eq!(events(&received), EVENTS);
    let read = rig.shard().totals.page_events;
    assert!(read <= 2 * EVENTS as u64, "{read} events were read to send {EVENTS}");
    rig.room(&socket, usize::MAX);
}

#[test]
fn a_client_that_takes_more_again_is_sent_more_at_once() {
    const EVENTS: usize = 300;
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 40 });
    rig.publish((0..EVENTS).map(|n| ("a", format!("{n}"))));
    let socket = rig.ask("a", &Requested::Earliest);
    rig.turn();
    for _ in 0..20 {
        rig.room(&socket, 25);
        rig.read_all();
    }
    socket.taken();
    rig.room(&socket, usize::MAX);
    let pages = rig.read_all();
    let received = events(&text(&socket));
    assert!(received > 200, "{received}");
    assert!(pages <= received / 3, "{pages} pages for {received} events");
}

#[test]
fn only_those_who_missed_something_read_the_log_when_the_window_overruns_their_shard() {
    let mut rig = Rig::new(WindowBounds { count: 10, bytes: 1 << 40 });
    let quiet: Vec<_> = (0..40).map(|n| rig.listen(&format!("quiet/{n}"))).collect();
    let families: Vec<_> = (0..5).map(|n| rig.listen(&format!("quiet/{n}/**"))).collect();
    let loud = [rig.listen("loud"), rig.listen("**")];
    rig.publish((0..100).map(|n| ("loud", format!("{n}"))));
    rig.publish([("quiet/7", "at the end".to_owned())]);
    rig.turn_until_idle();
    let readers = rig.shard().table.iter().filter(|(_, s)| s.reading.is_some()).count();
    assert_eq!(readers, loud.len(), "only those whom it concerned have missed anything");
    let totals = rig.delivery().totals();
    assert_eq!(totals.waiting_pages, loud.len() as u64);
    rig.read_all();
    assert_eq!(rig.delivery().totals().waiting_pages, 0);
    for socket in &loud {
        let received = text(socket);
        let all = (0..100).all(|n| received.contains(&format!("\ndata: {n}\n")));
        assert!(all && !received.contains("fanfare.gap"), "{received}");
    }
    let received: Vec<_> = quiet.iter().chain(&families).map(text).collect();
    assert_eq!(events(&received[7]), 1);
    assert_eq!(received.iter().map(|text| events(text)).sum::<usize>(), 1, "{received:?}");
}

#[test]
fn those_who_are_closed_while_blocked_on_one_large_event_share_its_bytes() {
    let mut rig = Rig::wide();
    let sockets: Vec<_> = (0..20)
        .map(|_| {
            let socket = rig.ask("a", &Requested::Live);
            socket.make_room(HEAD.len() + 60);
            rig.turn_until_idle();
            socket
        })
        .collect();
    rig.publish([("a", "x".repeat(100_000))]);
    rig.turn_until_idle();
    let keys: Vec<_> = rig.shard().table.iter().map(|(key, _)| key).collect();
    for key in keys {
        let now = rig.now;
        rig.shard_mut().cut_one(key, now);
    }
    let frame = Arc::clone(&rig.shard().ring.from(0).next().unwrap().frame);
    let shared = frame.encoded(Envelope::None).chunked().as_ptr_range();
    let mut private = 0;
    for (_, subscriber) in rig.shard().table.iter() {
        assert!(subscriber.awaits.room && subscriber.is_closing());
        let waiting = subscriber.rest();
        assert!(waiting.iter().map(Bytes::len).sum::<usize>() > 99_000);
        let copies = waiting.iter().filter(|piece| !shared.contains(&piece.as_ptr()));
        private += copies.map(Bytes::len).sum::<usize>();
    }
    assert!(private < 20 * 200, "{private} bytes are held for {} who are blocked", sockets.len());
    for socket in sockets {
        rig.room(&socket, usize::MAX);
        let received = text(&socket);
        assert!(received.ends_with("\r\n0\r\n\r\n"), "{}", &received[received.len() - 60..]);
        assert!(received.contains(&"x".repeat(100_000)));
    }
    assert_eq!(rig.shard().totals.closed[CloseReason::Cut.index()], 20);
}

#[test]
fn live_events_do_not_wait_until_all_who_come_have_joined() {
    let mut rig = Rig::wide();
    let first = rig.listen("a");
    let crowd: Vec<_> = (0..100).map(|_| rig.ask("a", &Requested::Live)).collect();
    crowd.iter().for_each(|socket| socket.make_room(usize::MAX));
    rig.publish([("a", "urgent".to_owned())]);
    first.taken();
    rig.turn();
    assert_eq!(events(&text(&first)), 1);
    let joined = rig.shard().table.len();
    assert!(joined < 10, "a turn took in {joined}");
    assert_eq!(rig.delivery().totals().waiting_commands, 101 - joined as u64);
    rig.turn_until_idle();
    assert_eq!(rig.shard().table.len(), 101);
    let given: usize = crowd.iter().map(|socket| events(&text(socket))).sum();
    assert_eq!(given, 100, "each was there before it was published");
}

#[test]
fn a_newcomer_gets_nothing_from_before_it_though_its_shard_is_behind() {
    let mut rig = Rig::wide();
    let old = rig.listen("a");
    old.taken();
    rig.publish((0..200).map(|n| ("a", format!("{n}"))));
    let newcomer = rig.ask("a", &Requested::Live);
    newcomer.make_room(usize::MAX);
    rig.turn();
    assert!(rig.shard().is_behind(), "a turn is too long for this test");
    rig.publish([("a", "new".to_owned())]);
    rig.turn_until_idle();
    assert_eq!(events(&text(&old)), 201);
    let received = text(&newcomer);
    assert_eq!(events(&received), 1, "{received}");
    assert!(received.contains("\ndata: new\n"));
}

#[test]
fn one_who_is_blocked_is_not_behind_while_nothing_concerns_it() {
    let mut rig = Rig::new(WindowBounds { count: 10, bytes: 1 << 40 });
    let socket = rig.ask("a", &Requested::Live);
    socket.make_room(HEAD.len() + 60);
    rig.turn_until_idle();
    rig.publish([("a", "x".repeat(1000))]);
    rig.turn_until_idle();
    for _ in 0..10 {
        rig.publish((0..20).map(|n| ("b", format!("{n}"))));
        rig.turn_until_idle();
    }
    let is_live = |rig: &Rig| rig.shard().table.iter().all(|(_, s)| s.cursor == Cursor::Live);
    assert!(is_live(&rig), "it would have to read the log");
    rig.publish([("a", "next".to_owned())]);
    rig.turn_until_idle();
    assert!(!is_live(&rig));
    rig.room(&socket, usize::MAX);
    assert_eq!(rig.read_all(), 0);
    assert_eq!(events(&text(&socket)), 2);
}

#[test]
fn a_client_that_takes_a_trickle_loses_its_seat() {
    let mut rig = Rig::wide();
    let trickle = rig.ask("a", &Requested::Live);
    let brisk = rig.ask("a", &Requested::Live);
    for socket in [&trickle, &brisk] {
        socket.make_room(HEAD.len() + 60);
    }
    rig.turn_until_idle();
    rig.publish([("a", "x".repeat(100_000))]);
    rig.turn_until_idle();
    for _ in 0..31 {
        rig.now = rig.now + Duration::from_secs(1);
        rig.room(&trickle, 10);
        rig.room(&brisk, 500);
    }
    assert!(trickle.is_closed(), "310 bytes in 31 seconds");
    assert!(!brisk.is_closed());
    assert_eq!(rig.shard().totals.closed[CloseReason::TooSlow.index()], 1);
}

#[test]
fn a_window_stays_within_its_bytes_whatever_envelopes_are_encoded() {
    const BOUND: usize = 300_000;
    let mut rig = Rig::new(WindowBounds { count: 1 << 20, bytes: BOUND });
    let sockets = [Envelope::Json, Envelope::Sealed].map(|envelope| {
        let wire = Wire::native(envelope, Framing::Chunked);
        let socket = SimulatedSocket::default();
        let subscriber = NewSubscriber { wire, ..rig.subscriber("a", &socket, &Requested::Live) };
        rig.delivery().join(subscriber);
        socket.make_room(usize::MAX);
        socket
    });
    rig.turn_until_idle();
    for _ in 0..40 {
        rig.publish((0..5).map(|_| ("a", "\u{1}".repeat(4_000))));
        rig.turn_until_idle();
        rig.read_all();
        let (frames, bytes) = rig.hub.window().held();
        assert!(bytes <= BOUND, "{bytes} bytes of {frames} frames");
        let held: usize = (rig.shard().ring.from(0).map(|slot| {
            [Envelope::None, Envelope::Json, Envelope::Sealed]
                .map(|envelope| slot.frame.encoded(envelope).len())
                .iter()
                .sum::<usize>()
        }))
        .sum();
        // The copy follows at the next turn: what was let go of since it last did is still there.
        assert!(held <= BOUND + 5 * 60_000, "{held} bytes are held");
    }
    let received = sockets.map(|socket| events(&text(&socket)));
    assert_eq!(received, [200, 201], "the sealed one has a cursor event too");
}

#[test]
fn one_who_comes_when_all_is_drained_is_told_when_to_come_back() {
    let mut rig = Rig::wide();
    rig.delivery().drain(Duration::ZERO);
    assert!(rig.turn());
    let socket = SimulatedSocket::default();
    socket.make_room(usize::MAX);
    rig.delivery().join(rig.subscriber("a", &socket, &Requested::Live));
    let received = text(&socket);
    assert!(received.starts_with(std::str::from_utf8(HEAD).unwrap()), "{received}");
    assert!(received.contains("\nretry: ") && received.ends_with("0\r\n\r\n"), "{received}");
    assert!(socket.is_closed());
    assert_eq!(rig.delivery().totals().closed[CloseReason::Shutdown.index()], 1);
    assert_eq!(rig.settings.seats.taken(), 0);
}

#[test]
fn a_turn_compares_a_bounded_number_of_patterns() {
    let mut rig = Rig::wide();
    let sockets: Vec<_> = (0..60).map(|_| rig.ask("a/**/b/**", &Requested::Live)).collect();
    rig.turn_until_idle();
    // The first of them concerns all, who have no room.
    let topics = ["a/b"].into_iter().chain(["a/c/c/c/c/c"; 30]).chain(["a/b"]);
    rig.publish(topics.map(|topic| (topic, "x".to_owned())));
    rig.turn_until_idle();
    sockets.iter().for_each(|socket| socket.make_room(usize::MAX));
    let ready: Vec<_> = sockets.iter().map(|socket| socket.key().unwrap()).collect();
    let ready = ready.into_iter().map(|key| Ready { key, readable: false, writable: true });
    let most = |rig: &Rig| {
        let StepLimits { scan, turn_scan, .. } = rig.settings.limits;
        // The last slot of a turn may take more.
        scan + turn_scan + 20
    };
    rig.turn_with(ready);
    let mut turns = 1;
    while rig.poll_is_due() {
        let scanned = rig.shard().scanned;
        assert!(scanned <= most(&rig), "{scanned} at once");
        rig.turn();
        turns += 1;
    }
    assert!(turns > 60, "all in {turns} turns");
    assert!(sockets.iter().all(|socket| events(&text(socket)) == 2));
}

/// Patterns that agree with [`NEAR`] to their last `b`, and not to their end.
fn near(rig: &mut Rig) -> Vec<SimulatedSocket> {
    let word = |n: usize| (0..5).map(|bit| ["a", "*"][n >> bit & 1]).collect::<Vec<_>>().join("/");
    (0..32).map(|n| rig.listen(&format!("**/{}/**/b/*/*/b/**", word(n)))).collect()
}

const NEAR: &str = "a/a/a/a/a/a/a/b/a/b";

#[test]
fn whom_an_event_concerns_is_found_over_turns() {
    let mut rig = Rig::wide();
    let near = near(&mut rig);
    let wishes = ["**", "a/**", "**/b/**", NEAR, "**/b", "*/**"];
    // They wait to be taken in, which goes on while the event is held against the patterns.
    let early: Vec<_> = (0..18).map(|n| rig.ask(wishes[n % 6], &Requested::Live)).collect();
    rig.publish([(NEAR, "x".to_owned())]);
    let late = rig.ask("**", &Requested::Live);
    early.iter().chain([&late]).for_each(|socket| socket.make_room(usize::MAX));
    let mut turns = 1;
    rig.turn();
    while rig.shard().is_behind() {
        rig.turn();
        turns += 1;
    }
    assert!(turns > 10, "all in {turns} turns");
    rig.turn_until_idle();
    let received: Vec<_> = early.iter().map(|socket| events(&text(socket))).collect();
    assert_eq!(received, [1; 18]);
    let others: usize = near.iter().chain([&late]).map(|socket| events(&text(socket))).sum();
    assert_eq!(others, 0);
}

#[test]
fn what_is_dropped_during_a_comparison_is_not_lost() {
    let mut rig = Rig::new(WindowBounds { count: 3, bytes: 1 << 40 });
    let near = near(&mut rig);
    let all = [rig.listen("**"), rig.listen(NEAR), rig.listen("**/b")];
    let quiet = rig.listen("quiet");
    rig.publish([(NEAR, "x".to_owned())]);
    rig.turn();
    assert!(rig.shard().is_behind(), "a turn is too long for this test");
    rig.publish((0..10).map(|n| (NEAR, format!("{n}"))));
    rig.turn_until_idle();
    rig.read_all();
    assert_eq!(all.map(|socket| events(&text(&socket))), [11; 3]);
    let others: usize = near.iter().chain([&quiet]).map(|socket| events(&text(socket))).sum();
    assert_eq!(others, 0);
}

#[test]
fn one_turn_finds_no_more_subscribers_than_it_may_whatever_their_patterns() {
    let mut rig = Rig::with(|settings| settings.limits.batch_work = 150);
    let sockets: Vec<_> = ["**", "*/*", "a/*"]
        .iter()
        .flat_map(|pattern| (0..100).map(move |_| pattern))
        .map(|pattern| rig.ask(pattern, &Requested::Live))
        .collect();
    sockets.iter().for_each(|socket| socket.make_room(usize::MAX));
    rig.turn_until_idle();
    rig.publish([("a/b", "x".to_owned())]);
    let mut turns = 1;
    rig.turn();
    while rig.shard().is_behind() {
        rig.turn();
        turns += 1;
    }
    assert_eq!(turns, 3, "those of each pattern are as many as a turn may look at");
    assert!(sockets.iter().all(|socket| events(&text(socket)) == 1));
}

#[test]
fn finding_many_leaves_little_memory_behind() {
    const PATTERNS: [&str; 9] =
        ["**", "*/**", "**/c", "a/**", "*/*/c", "**/*", "a/*/c", "*/b/c", "a/b/*"];
    let mut rig = Rig::wide();
    let sockets: Vec<_> = (0..2_000)
        .map(|_| {
            let socket = SimulatedSocket::default();
            let selector = Selector::parse(PATTERNS, []).unwrap();
            let interest = Arc::new(Interest::new(selector, PrivateRights::None));
            let subscriber = rig.subscriber("a", &socket, &Requested::Live);
            rig.delivery().join(NewSubscriber { interest, ..subscriber });
            socket.make_room(usize::MAX);
            socket
        })
        .collect();
    rig.turn_until_idle();
    rig.publish([("a/b/c", "x".to_owned())]);
    rig.turn_until_idle();
    assert!(sockets.iter().all(|socket| events(&text(socket)) == 1));
    let room = rig.shard().table.kept_room();
    assert!(room <= 16 * 1024, "room for {room} after {} were found", 2_000 * PATTERNS.len());
}

#[test]
fn a_turn_counts_the_subscribers_of_one_topic_as_far_as_it_may() {
    for (batch_work, subscribers, more) in [(1 << 20, 3, false), (60, 1, true)] {
        let mut rig = Rig::with(|settings| settings.limits.batch_work = batch_work);
        let _near = near(&mut rig);
        let _all = ["**", "**/b", NEAR].map(|pattern| rig.listen(pattern));
        let topics: Arc<[Topic]> = [NEAR, NEAR, "c"].map(|it| Topic::parse(it).unwrap()).into();
        let (tell, told) = std::sync::mpsc::channel();
        rig.delivery().count(&topics, move |counts| tell.send(counts).unwrap());
        for _ in 0..2 {
            rig.turn();
            assert!(told.try_recv().is_err() && rig.poll_is_due(), "a topic in each turn");
        }
        rig.turn();
        let counts = told.try_recv().unwrap();
        assert!(counts[0] == counts[1] && counts.len() == topics.len());
        let TopicCount { subscribers: counted, more: may_be_more } = counts[0];
        assert!(counted >= subscribers && counted <= 3, "{counted}, at {batch_work}");
        assert_eq!(may_be_more, more, "at {batch_work}");
        assert_eq!(counts[2], TopicCount { subscribers: 1, more: false });
    }
}

#[test]
fn topics_that_concern_nobody_count_where_the_window_overran_their_shard() {
    let mut rig = Rig::new(WindowBounds { count: 3, bytes: 1 << 40 });
    let quiet = [rig.listen("quiet"), rig.listen("silent")];
    let most = rig.settings.limits.dropped;
    let overrun = |rig: &mut Rig, topics: usize| {
        let topic = |n: usize| -> &'static str { format!("t/{n}").leak() };
        rig.publish((0..topics).map(|n| (topic(n), "x".to_owned())));
        rig.turn();
        let readers = rig.shard().table.iter().filter(|(_, s)| s.reading.is_some()).count();
        rig.turn_until_idle();
        rig.read_all();
        readers
    };
    assert_eq!(overrun(&mut rig, 5), 0, "it is known that none of it concerned them");
    assert_eq!(overrun(&mut rig, 2 * most), 2, "they see for themselves");
    assert_eq!(quiet.map(|socket| events(&text(&socket))), [0; 2]);
}
