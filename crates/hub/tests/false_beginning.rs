//! Whoever comes back is told that nothing is missing, and then its stream comes to a gap.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fanfare_event::{Draft, EventId, Position, PrivateRights, Selector, Topic};
use fanfare_hub::{Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{
    AppendError, Appending, Batch, EventLog, Finding, Lineage, Page, PageLimit, ReadError,
    ReadFrom, Retention, Tail, Unready,
};
use fanfare_testkit::FickleLog;

/// A window that holds no more than the last frame.
fn window() -> Arc<Window> {
    let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
    Arc::new(Window::new(WindowBounds { count: 1, bytes: 1 << 20 }, retention))
}

fn publish(hub: &Hub, count: usize) {
    let draft =
        Draft { topic: Topic::default(), event_type: None, message: "m".into(), extras: None };
    let publishing = hub.publish(Batch { drafts: vec![draft; count], key: None });
    match pin!(publishing).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(accepted) => drop(accepted.unwrap()),
        Poll::Pending => panic!("a log in memory has nothing to wait for"),
    }
}

/// What whoever comes back with this id is told.
fn is_continuous(hub: &Hub, id: Position) -> bool {
    let interest = Interest::new(Selector::default(), PrivateRights::None);
    let start = hub.resolve(&Requested::After(id)).into_start();
    hub.is_continuous(&start, &interest).unwrap()
}

#[test]
fn a_loss_on_the_way_is_told_of_at_the_beginning() {
    let window = window();
    let log = FickleLog::open(100, Arc::clone(&window) as Arc<dyn Tail>);
    let hub = Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>);
    publish(&hub, 10);
    let first = hub.window().last().epoch;
    assert!(is_continuous(&hub, Position::new(first, 3)));
    let loss = log.lose(4);
    let check = || {
        for before in [Position::new(first, 3), loss.end] {
            assert!(!is_continuous(&hub, before), "{before}: the loss comes later, and comes");
        }
        assert!(is_continuous(&hub, Position::new(loss.epoch, 0)), "it has been told");
    };
    check();
    publish(&hub, 3);
    check();
}

/// The log's end, as the window knows it.
const LAST: u64 = 40;

/// A log in which nothing stands between some event and another, and something did.
struct WithHole {
    /// The last event before the hole, and the last that is missing.
    hole: [u64; 2],
    /// How far a page leads at most.
    stride: u64,
    reads: AtomicUsize,
}

impl EventLog for WithHole {
    fn append(&self, _: Batch) -> Appending {
        Box::pin(ready(Err(AppendError::Unavailable { source: "a test says so".into() })))
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        _: &Selector,
        _: PageLimit,
    ) -> Result<Page, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let ReadFrom::After(Position { epoch, seq }) = from else { panic!("{from:?}") };
        let [before, missing] = self.hole;
        let is_gone = (before..missing).contains(&seq);
        let trimmed = is_gone.then(|| Position::new(epoch, missing));
        // No page crosses a hole: it ends before, and the next begins with it.
        let end = if seq < before { before } else { u64::MAX };
        let next = (seq + self.stride).min(end).min(until.seq);
        Ok(Page { trimmed, events: Vec::new(), next: Position::new(epoch, next) })
    }

    fn find(&self, _: &EventId) -> Finding {
        Box::pin(ready(Ok(None)))
    }

    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
}

/// What whoever has everything up to `seq` is told, and how often the log was read for it.
fn told(hole: [u64; 2], stride: u64, seq: u64) -> (bool, usize) {
    let window = window();
    window.begin(&Lineage::root(7), Position::new(7, LAST));
    let log = Arc::new(WithHole { hole, stride, reads: AtomicUsize::new(0) });
    let hub = Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>);
    let told = is_continuous(&hub, Position::new(7, seq));
    (told, log.reads.load(Ordering::Relaxed))
}

#[test]
fn a_hole_behind_the_first_events_is_told_of_at_the_beginning() {
    assert_eq!(told([20, 30], 100, 10), (false, 2));
    assert_eq!(told([20, 30], 100, 30), (true, 1), "it has been told");
    assert_eq!(told([20, 30], 5, 10), (false, 3));
}

#[test]
fn what_cannot_be_seen_with_a_few_reads_is_in_doubt() {
    assert_eq!(told([0, 0], 10, 0), (true, 4));
    assert_eq!(told([0, 0], 1, 0), (false, 8));
    assert_eq!(told([0, 0], 1, LAST), (true, 0), "the window has all that follows");
}
