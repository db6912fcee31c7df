//! What one shard may be made to do at once, or to hold, by whoever is slow, many or far behind.
//! Everything is counted; nothing is timed.
//!
//! Invariants: *bounded*, *nobody waits*.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::{Draft, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, EventLog, Retention, Tail};
use fanfare_testkit::FickleLog;
use mio::Events;

use super::Shard;
use crate::body::Signal;
use crate::counters::CloseReason;
use crate::delivery::{Delivery, DeliverySettings, NewSubscriber};
use crate::inbox::Command;
use crate::readers::Readers;
use crate::retry::Retry;
use crate::script::Script;
use crate::seats::Seats;
use crate::sink::{Framing, Sink};
use crate::subscriber::Cursor;

const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A shard over a log, driven by hand.
pub(super) struct Rig {
    hub: Arc<Hub>,
    readers: Arc<Readers>,
    pub(super) shard: Shard,
    settings: DeliverySettings,
    pub(super) now: Instant,
    no_readiness: Events,
}

impl Rig {
    pub(super) fn new(bounds: WindowBounds) -> Self {
        let retention =
            Retention { count: 1 << 30, bytes: 1 << 40, age: Duration::from_secs(3600) };
        let window = Arc::new(Window::new(bounds, retention));
        let engine = FickleLog::open(1 << 30, Arc::clone(&window) as Arc<dyn Tail>);
        let settings = DeliverySettings {
            shards: 1,
            heartbeat: Duration::from_secs(15),
            write_timeout: WRITE_TIMEOUT,
            min_rate: 256,
            retry: Retry(Duration::from_secs(3)),
            seats: Seats::new(1 << 20),
        };
        let readers = Arc::new(Readers::by_hand());
        let shard = Shard::new(Arc::clone(&window), Arc::clone(&readers), &settings).unwrap();
        Self {
            hub: Arc::new(Hub::new(window, engine as Arc<dyn EventLog>)),
            readers,
            shard,
            settings,
            now: Instant::now(),
            no_readiness: Events::with_capacity(1),
        }
    }

    fn wide() -> Self {
        Self::new(WindowBounds { count: 1 << 20, bytes: 1 << 40 })
    }

    pub(super) fn publish(&self, drafts: impl IntoIterator<Item = (&'static str, String)>) {
        let draft = |(topic, text): (&str, String)| Draft {
            topic: Topic::parse(topic).unwrap(),
            event_type: None,
            message: text.into(),
        };
        let drafts = drafts.into_iter().map(draft).collect();
        let mut appending = self.hub.publish(Batch { drafts, key: None });
        let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(_))));
    }

    pub(super) fn subscriber(
        &self,
        topic: &str,
        script: &Script,
        requested: &Requested,
    ) -> NewSubscriber {
        NewSubscriber {
            sink: Sink::Script(script.clone()),
            framing: Framing::Chunked,
            head: Bytes::from_static(HEAD),
            interest: Arc::new(Interest::new(Selector::parse([topic], []).unwrap())),
            envelope: Envelope::None,
            start: self.hub.resolve(requested).into_start(),
            has_id: false,
            address: [127, 0, 0, 1].into(),
            seat: self.settings.seats.take().unwrap(),
            lease: None,
        }
    }

    fn ask(&self, topic: &str, requested: &Requested) -> Script {
        let script = Script::default();
        let subscriber = self.subscriber(topic, &script, requested);
        self.shard.handle().send(Command::Join(Box::new(subscriber)));
        script
    }

    /// A subscriber of what is published from now on, whose sink takes everything.
    pub(super) fn listen(&mut self, topic: &str) -> Script {
        let script = self.ask(topic, &Requested::Live);
        script.make_room(usize::MAX);
        self.turn_until_idle();
        script
    }

    fn turn(&mut self) {
        self.shard.revolve(&self.no_readiness, self.now);
    }

    /// Turns for as long as there is something to do without the log and without room.
    pub(super) fn turn_until_idle(&mut self) {
        self.turn();
        while self.shard.patience() == Some(Duration::ZERO) {
            self.turn();
        }
    }

    fn room(&mut self, script: &Script, bytes: usize) {
        script.make_room(bytes);
        self.shard.handle().send(Command::Signal(script.token().unwrap(), Signal::Room));
        self.turn_until_idle();
    }

    /// Reads all pages that are asked for; how many those were.
    fn read_all(&mut self) -> usize {
        let mut pages = 0;
        while self.readers.read_one(&self.hub) {
            pages += 1;
            self.turn_until_idle();
        }
        pages
    }
}

pub(super) fn text(script: &Script) -> String {
    String::from_utf8(script.taken()).unwrap()
}

fn events(text: &str) -> usize {
    text.matches("\ndata: ").count()
}

#[test]
fn a_client_that_sips_has_the_log_read_many_times_over() {
    const EVENTS: usize = 300;
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 40 });
    rig.publish((0..EVENTS).map(|n| ("a", format!("{n}"))));
    let script = rig.ask("a", &Requested::Earliest);
    rig.turn();
    let mut received = String::new();
    for _ in 0..EVENTS * 10 {
        rig.room(&script, 25);
        rig.read_all();
        received.push_str(&text(&script));
    }
    assert_eq!(events(&received), EVENTS);
    let read = rig.shard.totals.page_events;
    assert!(read <= 2 * EVENTS as u64, "{read} events were read to send {EVENTS}");
    rig.room(&script, usize::MAX);
}

#[test]
fn a_client_that_takes_more_again_is_fed_in_sips() {
    const EVENTS: usize = 300;
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 40 });
    rig.publish((0..EVENTS).map(|n| ("a", format!("{n}"))));
    let script = rig.ask("a", &Requested::Earliest);
    rig.turn();
    for _ in 0..20 {
        rig.room(&script, 25);
        rig.read_all();
    }
    script.taken();
    rig.room(&script, usize::MAX);
    let pages = rig.read_all();
    let received = events(&text(&script));
    assert!(received > 200, "{received}");
    assert!(pages <= received / 3, "{pages} pages for {received} events");
}

#[test]
fn those_who_missed_nothing_read_the_log_when_the_window_overruns_their_shard() {
    let mut rig = Rig::new(WindowBounds { count: 10, bytes: 1 << 40 });
    let quiet: Vec<_> = (0..40).map(|n| rig.listen(&format!("quiet/{n}"))).collect();
    let families: Vec<_> = (0..5).map(|n| rig.listen(&format!("quiet/{n}/**"))).collect();
    let loud = [rig.listen("loud"), rig.listen("**")];
    rig.publish((0..100).map(|n| ("loud", format!("{n}"))));
    rig.publish([("quiet/7", "at the end".to_owned())]);
    rig.turn_until_idle();
    let readers = rig.shard.roster.iter().filter(|(_, s)| s.reading.is_some()).count();
    assert_eq!(readers, loud.len(), "only those whom it concerned have missed anything");
    rig.read_all();
    for script in &loud {
        let received = text(script);
        let all = (0..100).all(|n| received.contains(&format!("\ndata: {n}\n")));
        assert!(all && !received.contains("fanfare.gap"), "{received}");
    }
    let received: Vec<_> = quiet.iter().chain(&families).map(text).collect();
    assert_eq!(events(&received[7]), 1);
    assert_eq!(received.iter().map(|text| events(text)).sum::<usize>(), 1, "{received:?}");
}

#[test]
fn a_farewell_copies_a_large_frame_for_each_who_is_blocked_on_it() {
    let mut rig = Rig::wide();
    let scripts: Vec<_> = (0..20)
        .map(|_| {
            let script = rig.ask("a", &Requested::Live);
            script.make_room(HEAD.len() + 60);
            rig.turn_until_idle();
            script
        })
        .collect();
    rig.publish([("a", "x".repeat(100_000))]);
    rig.turn_until_idle();
    let tokens: Vec<_> = rig.shard.roster.iter().map(|(token, _)| token).collect();
    for token in tokens {
        rig.shard.cut_one(token, rig.now);
    }
    let frame = Arc::clone(&rig.shard.ring.from(0).next().unwrap().frame);
    let shared = frame.encoded(Envelope::None).chunked().as_ptr_range();
    let mut private = 0;
    for (_, subscriber) in rig.shard.roster.iter() {
        assert!(subscriber.blocked && subscriber.is_closing());
        let waiting = subscriber.waiting();
        assert!(waiting.iter().map(Bytes::len).sum::<usize>() > 99_000);
        let copies = waiting.iter().filter(|piece| !shared.contains(&piece.as_ptr()));
        private += copies.map(Bytes::len).sum::<usize>();
    }
    assert!(private < 20 * 200, "{private} bytes are held for {} who are blocked", scripts.len());
    for script in scripts {
        rig.room(&script, usize::MAX);
        let received = text(&script);
        assert!(received.ends_with("\r\n0\r\n\r\n"), "{}", &received[received.len() - 60..]);
        assert!(received.contains(&"x".repeat(100_000)));
    }
    assert_eq!(rig.shard.totals.closed[CloseReason::Cut.index()], 20);
}

#[test]
fn live_events_wait_until_all_who_come_have_joined() {
    let mut rig = Rig::wide();
    let first = rig.listen("a");
    let crowd: Vec<_> = (0..100).map(|_| rig.ask("a", &Requested::Live)).collect();
    crowd.iter().for_each(|script| script.make_room(usize::MAX));
    rig.publish([("a", "urgent".to_owned())]);
    first.taken();
    rig.turn();
    assert_eq!(events(&text(&first)), 1);
    assert!(rig.shard.roster.len() < 10, "a turn took in {}", rig.shard.roster.len());
    rig.turn_until_idle();
    assert_eq!(rig.shard.roster.len(), 101);
    let given: usize = crowd.iter().map(|script| events(&text(script))).sum();
    assert_eq!(given, 100, "each was there before it was published");
}

#[test]
fn a_shard_that_is_behind_gives_newcomers_what_came_before_them() {
    let mut rig = Rig::wide();
    let old = rig.listen("a");
    old.taken();
    rig.publish((0..200).map(|n| ("a", format!("{n}"))));
    let newcomer = rig.ask("a", &Requested::Live);
    newcomer.make_room(usize::MAX);
    rig.turn();
    assert!(rig.shard.is_behind(), "a turn is too long for this test");
    rig.publish([("a", "new".to_owned())]);
    rig.turn_until_idle();
    assert_eq!(events(&text(&old)), 201);
    let received = text(&newcomer);
    assert_eq!(events(&received), 1, "{received}");
    assert!(received.contains("\ndata: new\n"));
}

#[test]
fn one_who_is_blocked_is_behind_though_nothing_concerns_it() {
    let mut rig = Rig::new(WindowBounds { count: 10, bytes: 1 << 40 });
    let script = rig.ask("a", &Requested::Live);
    script.make_room(HEAD.len() + 60);
    rig.turn_until_idle();
    rig.publish([("a", "x".repeat(1000))]);
    rig.turn_until_idle();
    for _ in 0..10 {
        rig.publish((0..20).map(|n| ("b", format!("{n}"))));
        rig.turn_until_idle();
    }
    let is_live = |rig: &Rig| rig.shard.roster.iter().all(|(_, s)| s.cursor == Cursor::Live);
    assert!(is_live(&rig), "it would have to read the log");
    rig.publish([("a", "next".to_owned())]);
    rig.turn_until_idle();
    assert!(!is_live(&rig));
    rig.room(&script, usize::MAX);
    assert_eq!(rig.read_all(), 0);
    assert_eq!(events(&text(&script)), 2);
}

#[test]
fn a_trickle_keeps_a_seat() {
    let mut rig = Rig::wide();
    let trickle = rig.ask("a", &Requested::Live);
    let brisk = rig.ask("a", &Requested::Live);
    for script in [&trickle, &brisk] {
        script.make_room(HEAD.len() + 60);
    }
    rig.turn_until_idle();
    rig.publish([("a", "x".repeat(100_000))]);
    rig.turn_until_idle();
    for _ in 0..31 {
        rig.now += Duration::from_secs(1);
        rig.room(&trickle, 10);
        rig.room(&brisk, 500);
    }
    assert!(trickle.is_closed(), "310 bytes in 31 seconds");
    assert!(!brisk.is_closed());
    assert_eq!(rig.shard.totals.closed[CloseReason::TooSlow.index()], 1);
}

#[test]
fn envelopes_make_a_window_many_times_as_large() {
    const BOUND: usize = 300_000;
    let mut rig = Rig::new(WindowBounds { count: 1 << 20, bytes: BOUND });
    let scripts = [Envelope::Json, Envelope::Sealed].map(|envelope| {
        let script = Script::default();
        let subscriber =
            NewSubscriber { envelope, ..rig.subscriber("a", &script, &Requested::Live) };
        rig.shard.handle().send(Command::Join(Box::new(subscriber)));
        script.make_room(usize::MAX);
        script
    });
    rig.turn_until_idle();
    for _ in 0..40 {
        rig.publish((0..5).map(|_| ("a", "\u{1}".repeat(4_000))));
        rig.turn_until_idle();
        rig.read_all();
        let (frames, bytes) = rig.hub.window().held();
        assert!(bytes <= BOUND, "{bytes} bytes of {frames} frames");
        let held: usize = (rig.shard.ring.from(0).map(|slot| {
            [Envelope::None, Envelope::Json, Envelope::Sealed]
                .map(|envelope| slot.frame.encoded(envelope).len())
                .iter()
                .sum::<usize>()
        }))
        .sum();
        // The copy follows at the next turn: what was let go of since it last did is still there.
        assert!(held <= BOUND + 5 * 60_000, "{held} bytes are held");
    }
    let received = scripts.map(|script| events(&text(&script)));
    assert_eq!(received, [200, 201], "the sealed one has a cursor event too");
}

#[test]
fn one_who_comes_when_all_is_drained_is_cut_off_without_a_word() {
    let rig = Rig::wide();
    let delivery = Delivery::start(&rig.hub, &rig.settings).unwrap();
    delivery.drain(Duration::ZERO);
    let script = Script::default();
    script.make_room(usize::MAX);
    delivery.join(rig.subscriber("a", &script, &Requested::Live));
    let received = text(&script);
    assert!(received.starts_with(std::str::from_utf8(HEAD).unwrap()), "{received}");
    assert!(received.contains("\nretry: ") && received.ends_with("0\r\n\r\n"), "{received}");
    assert!(script.is_closed());
    assert_eq!(delivery.totals().closed[CloseReason::Shutdown.index()], 1);
    assert_eq!(rig.settings.seats.taken(), 0);
}
