//! Warming: how the window of a hub that has just started is filled from its log, so that whoever returns
//! to it is served from memory, as if it had never stopped.
//!
//! What must hold: the window stays contiguous. What is put in front of it reaches up to where it began,
//! crosses nothing that was lost, and begins behind whatever was trimmed. Where that cannot be shown, the
//! window stays as it is: a cold window is slower, and serves the same.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use fanfare_event::{Event, Position, Selector};
use fanfare_log::{PageLimit, ReadError, ReadFrom};

use crate::Hub;

/// How many events are asked for first, going back; then twice as many each time.
const FIRST_STRETCH: u64 = 128;
/// How much one read brings.
const PAGE: PageLimit = PageLimit { events: 1024, bytes: 1 << 20 };

/// A run of the log, oldest first: everything after `floor`.
#[derive(Debug)]
struct WarmRun {
    floor: Position,
    events: VecDeque<Arc<Event>>,
    weight: usize,
}

impl Hub {
    /// Fills the window from the log, as far as its bounds allow; how many frames that brought. To be called
    /// after the engine has begun and before anyone listens to the window; may block on the engine.
    /// `keep_going` is asked before every read whether there is time for it.
    ///
    /// # Errors
    ///
    /// The log cannot be read: what had been read until then is in the window.
    pub fn warm(&self, mut keep_going: impl FnMut() -> bool) -> Result<usize, ReadError> {
        let bounds = self.window().bounds();
        let (known, begins) = self.window().beginning();
        let mut run = WarmRun { floor: begins, events: VecDeque::new(), weight: 0 };
        let mut stretch = FIRST_STRETCH;
        let mut read = Ok(());
        while run.weight < bounds.bytes {
            let most = stretch.min((bounds.count - run.events.len()) as u64);
            let start = known.back(run.floor, most);
            if start >= run.floor {
                break;
            }
            let room = bounds.bytes - run.weight;
            let older = match self.read_run(start, run.floor, room, &mut keep_going) {
                Ok(Some(older)) => older,
                Ok(None) => break,
                Err(error) => {
                    read = Err(error);
                    break;
                }
            };
            let whole = older.floor == start;
            run.prepend(older);
            if !whole {
                break;
            }
            let mean = run.weight as u64 / run.events.len().max(1) as u64;
            let fits = (bounds.bytes - run.weight.min(bounds.bytes)) as u64 / mean.max(1) + 1;
            stretch = (stretch * 2).min(fits);
        }
        let WarmRun { floor, events, .. } = run;
        let warmed = self.window().warm(&known, begins, floor, events.into());
        read.map(|()| warmed)
    }

    /// Everything of the log after `start` and up to `until`, or the latest part of it that is whole and
    /// weighs no more than `room`; `None` where `keep_going` said no.
    fn read_run(
        &self,
        start: Position,
        until: Position,
        room: usize,
        keep_going: &mut impl FnMut() -> bool,
    ) -> Result<Option<WarmRun>, ReadError> {
        let everything = Selector::everything();
        let mut run = WarmRun { floor: start, events: VecDeque::new(), weight: 0 };
        let mut at = start;
        while at < until {
            if !keep_going() {
                return Ok(None);
            }
            let page = self.read_log(ReadFrom::After(at), until, &everything, PAGE)?;
            if let Some(through) = page.trimmed {
                run = WarmRun { floor: through, events: VecDeque::new(), weight: 0 };
            }
            for event in page.events {
                run.weight += event.weight();
                run.events.push_back(event);
            }
            while run.weight > room && run.drop_oldest().is_continue() {}
            if page.next <= at {
                let source = "a page did not lead on from where it began".into();
                return Err(ReadError::Unavailable { source });
            }
            at = page.next;
        }
        Ok(Some(run))
    }
}

impl WarmRun {
    fn drop_oldest(&mut self) -> ControlFlow<()> {
        let Some(event) = self.events.pop_front() else { return ControlFlow::Break(()) };
        self.floor = event.position;
        self.weight -= event.weight();
        ControlFlow::Continue(())
    }

    fn prepend(&mut self, older: Self) {
        let Self { floor, mut events, weight } = older;
        events.append(&mut self.events);
        *self = Self { floor, events, weight: weight + self.weight };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanfare_event::{Draft, EventId, Topic};
    use fanfare_log::{Appending, Batch, EventLog, Finding, Page, Retention, Tail, Unready};
    use fanfare_memory::{MemoryLog, MemorySettings, MemoryState};

    use super::*;
    use crate::{Notify, Requested, Ring, Window, WindowBounds};

    const RETENTION: Retention =
        Retention { count: 1_000, bytes: 1 << 20, age: Duration::from_secs(3600) };

    fn settings() -> MemorySettings {
        MemorySettings { retention: RETENTION, key_window: Duration::ZERO, key_capacity: 0 }
    }

    /// A log with so many events of so many bytes, after so many that were trimmed.
    fn state(count: usize, message: usize) -> MemoryState {
        let window = Arc::new(Window::new(WindowBounds { count: 1, bytes: 1 }, RETENTION));
        let log = MemoryLog::open(settings(), window as Arc<dyn Tail>);
        let draft = || Draft {
            topic: Topic::default(),
            event_type: None,
            message: "x".repeat(message).into(),
            extras: None,
        };
        for _ in 0..count {
            drop(log.append(Batch { drafts: vec![draft()], key: None }));
        }
        log.state()
    }

    fn restarted(state: MemoryState, bounds: WindowBounds) -> Hub {
        let window = Arc::new(Window::new(bounds, RETENTION));
        let log = MemoryLog::resume(settings(), Arc::clone(&window) as Arc<dyn Tail>, state);
        Hub::new(window, log)
    }

    fn held(hub: &Hub) -> (u64, Vec<u64>) {
        let mut ring = Ring::new(Position::ORIGIN);
        hub.window().follow(&mut ring);
        let seqs = ring.from(0).map(|slot| slot.frame.position().seq);
        (ring.floor().seq, seqs.collect())
    }

    #[test]
    fn a_restarted_hub_serves_the_latest_events_from_its_log() {
        let hub = restarted(state(700, 10), WindowBounds { count: 300, bytes: 1 << 30 });
        assert_eq!(held(&hub), (700, vec![]), "cold");
        assert_eq!(hub.warm(|| true).unwrap(), 300);
        assert_eq!(held(&hub), (400, (401..=700).collect()));
        let (frames, bytes) = hub.window().held();
        assert!(frames == 300 && bytes > 300 * 10, "they are counted");
        let start = hub.resolve(&Requested::Live).into_start();
        assert_eq!(start.from, ReadFrom::After(hub.window().last()), "live is after all of them");
        assert_eq!(hub.warm(|| true).unwrap(), 0, "there is no more room");
    }

    #[test]
    fn no_more_is_read_than_the_window_holds() {
        let hub = restarted(state(700, 1_000), WindowBounds { count: 300, bytes: 50_000 });
        let mut reads = 0;
        let warmed = hub.warm(|| {
            reads += 1;
            true
        });
        assert!((10..=50).contains(&warmed.unwrap()));
        assert!(hub.window().held().1 <= 50_000);
        assert_eq!(reads, 1, "the first stretch is enough");
    }

    #[test]
    fn what_was_trimmed_is_behind_the_window() {
        let hub = restarted(state(1_200, 10), WindowBounds { count: 5_000, bytes: 1 << 30 });
        assert_eq!(hub.warm(|| true).unwrap(), 1_000);
        assert_eq!(held(&hub).0, 200);
    }

    #[test]
    fn a_slow_log_neither_delays_nor_leaves_a_hole() {
        let hub = restarted(state(700, 10), WindowBounds { count: 600, bytes: 1 << 30 });
        let mut reads = 0..2;
        assert_eq!(hub.warm(|| reads.next().is_some()).unwrap(), 128 + 256);
        assert_eq!(held(&hub), (316, (317..=700).collect()));
        let hub = restarted(state(700, 10), WindowBounds { count: 600, bytes: 1 << 30 });
        assert_eq!(hub.warm(|| false).unwrap(), 0);
    }

    /// A log that has lost hold of one event, and says so to whoever reads across it.
    struct Holed(Arc<MemoryLog>, Position);

    impl EventLog for Holed {
        fn append(&self, batch: Batch) -> Appending {
            self.0.append(batch)
        }

        fn read(
            &self,
            from: ReadFrom,
            until: Position,
            selector: &Selector,
            limit: PageLimit,
        ) -> Result<Page, ReadError> {
            let crosses = matches!(from, ReadFrom::After(at) if at < self.1) && self.1 <= until;
            let from = if crosses { ReadFrom::After(self.1) } else { from };
            let page = self.0.read(from, until, selector, limit)?;
            Ok(Page { trimmed: crosses.then_some(self.1), ..page })
        }

        fn find(&self, id: &EventId) -> Finding {
            self.0.find(id)
        }

        fn ready(&self) -> Result<(), Unready> {
            Ok(())
        }
    }

    #[test]
    fn a_hole_in_the_log_is_a_hole_in_the_window() {
        let bounds = WindowBounds { count: 5_000, bytes: 1 << 30 };
        let window = Arc::new(Window::new(bounds, RETENTION));
        let tail = Arc::clone(&window) as Arc<dyn Tail>;
        let log = MemoryLog::resume(settings(), tail, state(700, 10));
        let hole = Position::new(log.stats().last.epoch, 650);
        let hub = Hub::new(window, Arc::new(Holed(log, hole)));
        assert_eq!(hub.warm(|| true).unwrap(), 50);
        assert_eq!(held(&hub), (650, (651..=700).collect()));
    }

    #[test]
    fn nothing_is_put_before_what_a_listener_has() {
        #[derive(Debug)]
        struct Listener;
        impl Notify for Listener {
            fn notify(&self, _: &crate::News) {}
        }
        let hub = restarted(state(700, 10), WindowBounds { count: 300, bytes: 1 << 30 });
        hub.window().listen(vec![Arc::new(Listener)]);
        assert_eq!(hub.warm(|| true).unwrap(), 0);
        assert_eq!(held(&hub), (700, vec![]));
    }
}
