//! The log itself: opened, read, appended to.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_event::{EventId, Position, Selector, Timestamp};

use crate::settings::MemorySettings;
use crate::state::MemoryState;
use crate::stats::MemoryStats;
use crate::store::{Bounds, Store, StoreTime};
use fanfare_log::{
    Appending, Batch, Environment, EventLog, Finding, Lineage, LogSize, MonotonicClock, Page,
    PageLimit, ReadError, ReadFrom, SystemEnvironment, Tail, Unready, next_epoch,
};

/// An event log in this process's memory. Every start is a new epoch without ancestors: cursors
/// of an earlier one are unknown to it.
pub struct MemoryLog {
    store: Mutex<Store>,
    environment: Arc<dyn Environment>,
    /// How old keys are.
    clock: MonotonicClock,
    tail: Arc<dyn Tail>,
}

impl MemoryLog {
    /// How many events one turn of the lock lets go of when they have outlived their age, so that
    /// publishers never wait for a flood of them.
    const EXPIRED_PER_TURN: usize = 4_096;

    /// An empty log in an epoch of its own.
    pub fn open(settings: MemorySettings, tail: Arc<dyn Tail>) -> Arc<Self> {
        Self::open_in(Arc::new(SystemEnvironment::new()), settings, tail)
    }

    /// The same, with time and chance from elsewhere.
    pub fn open_in(
        environment: Arc<dyn Environment>,
        settings: MemorySettings,
        tail: Arc<dyn Tail>,
    ) -> Arc<Self> {
        let epoch = next_epoch(0, environment.now(), environment.random());
        let lineage = Lineage::root(epoch);
        let store = Store::new(epoch, settings, Bounds::DEFAULT);
        tail.begin(&lineage, store.last());
        tail.wake();
        let clock = MonotonicClock::new(Arc::clone(&environment));
        Arc::new(Self { store: Mutex::new(store), environment, clock, tail })
    }

    /// The log of a process that ends, in the process that goes on with it: in the same epoch, at the next
    /// position. What exceeds these settings is trimmed.
    pub fn resume(settings: MemorySettings, tail: Arc<dyn Tail>, state: MemoryState) -> Arc<Self> {
        Self::resume_in(Arc::new(SystemEnvironment::new()), settings, tail, state)
    }

    /// The same, with time and chance from elsewhere.
    pub fn resume_in(
        environment: Arc<dyn Environment>,
        settings: MemorySettings,
        tail: Arc<dyn Tail>,
        state: MemoryState,
    ) -> Arc<Self> {
        let clock = MonotonicClock::from(state.keys.latest(), Arc::clone(&environment));
        let mut store = Store::resumed(state, settings, Bounds::DEFAULT);
        let now = StoreTime { wall: environment.now(), steady: clock.now() };
        store.expire(now, usize::MAX);
        let (last, trimmed) = (store.last(), store.trimmed());
        tail.begin(&Lineage::root(last.epoch), last);
        if trimmed > Position::ORIGIN {
            tail.trim(trimmed);
        }
        tail.wake();
        Arc::new(Self { store: Mutex::new(store), environment, clock, tail })
    }

    /// All that the log holds now, to be handed to another process; nothing changes by it. Takes the lock
    /// for about ten milliseconds where there are a hundred thousand events.
    pub fn state(&self) -> MemoryState {
        self.store().state(self.clock.now())
    }

    /// The same, but of the events only those after this position: what is left to be said to whoever has
    /// heard the [`state`](Self::state) that ended there.
    pub fn state_after(&self, position: Position) -> MemoryState {
        self.store().state_after(position, self.clock.now())
    }

    /// What the log holds now. Takes the lock for a moment.
    pub fn stats(&self) -> MemoryStats {
        self.store().stats()
    }

    /// A panic elsewhere does not end the log: the store is whole before anyone else's code runs
    /// under the lock.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl EventLog for MemoryLog {
    fn append(&self, batch: Batch) -> Appending {
        let mut store = self.store();
        // Read under the lock, so that the times of publishing ascend as the positions do.
        let now = StoreTime { wall: self.environment.now(), steady: self.clock.now() };
        let outcome = store.append(batch, now);
        if let Ok(accepted) = &outcome {
            if !accepted.events.is_empty() {
                self.tail.append(&accepted.events);
            }
            if let Some(through) = accepted.trimmed {
                self.tail.trim(through);
            }
        }
        drop(store);
        if outcome.as_ref().is_ok_and(|accepted| !accepted.events.is_empty()) {
            self.tail.wake_from_publisher();
        }
        let outcome = outcome.map(|accepted| accepted.answer);
        Box::pin(std::future::ready(outcome))
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let stretch = self.store().stretch(from, until, selector, limit.events);
        Ok(stretch.select(selector, limit))
    }

    fn find(&self, id: &EventId) -> Finding {
        let found = self.store().find(id);
        Box::pin(std::future::ready(Ok(found)))
    }

    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }

    fn size(&self) -> Option<LogSize> {
        let stats = self.stats();
        Some(LogSize { events: stats.events as u64, bytes: stats.bytes, unreclaimed: 0 })
    }

    fn expire(&self, now: Timestamp) {
        let mut trimmed = false;
        let now = StoreTime { wall: now, steady: self.clock.now() };
        loop {
            let mut store = self.store();
            let Some(through) = store.expire(now, Self::EXPIRED_PER_TURN) else { break };
            self.tail.trim(through);
            trimmed = true;
        }
        if trimmed {
            self.tail.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::OnceLock;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use fanfare_event::{Draft, Event, Topic};

    use super::*;
    use fanfare_log::{AppendError, Appended, IdempotencyKey, Retention};

    const PAGE: PageLimit = PageLimit { events: 100, bytes: 1 << 20 };

    fn settings(count: u64) -> MemorySettings {
        let age = Duration::from_secs(3600);
        MemorySettings {
            retention: Retention { count, bytes: 1 << 30, age },
            key_window: Duration::from_secs(60),
            key_capacity: 3,
        }
    }

    fn batch(topic: &str, messages: &[&str]) -> Batch {
        let topic = Topic::parse(topic).unwrap();
        let draft = |message: &&str| Draft {
            topic: topic.clone(),
            event_type: None,
            message: (*message).into(),
            extras: None,
        };
        Batch { drafts: messages.iter().map(draft).collect(), key: None }
    }

    fn append(log: &MemoryLog, batch: Batch) -> Result<Appended, AppendError> {
        let mut appending = pin!(log.append(batch));
        match appending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("a log in memory has nothing to wait for"),
        }
    }

    fn everything() -> Selector {
        Selector::parse(["**"], []).unwrap()
    }

    /// Writes down what it hears. Its `wake` reads the log: that would never return if the lock
    /// were still held.
    #[derive(Default)]
    struct Recorder {
        log: OnceLock<Arc<MemoryLog>>,
        heard: Mutex<RecordedTail>,
    }

    #[derive(Default)]
    struct RecordedTail {
        begun: Vec<(u64, Position)>,
        events: Vec<Arc<Event>>,
        trimmed: Vec<Position>,
        wakes: usize,
        /// The greatest position a wake has found the log to hold.
        seen: Option<Position>,
    }

    impl Tail for Recorder {
        fn begin(&self, lineage: &Lineage, at: Position) {
            self.heard.lock().unwrap().begun.push((lineage.current(), at));
        }

        fn append(&self, events: &[Arc<Event>]) {
            self.heard.lock().unwrap().events.extend_from_slice(events);
        }

        fn trim(&self, through: Position) {
            self.heard.lock().unwrap().trimmed.push(through);
        }

        fn wake(&self) {
            let last = self.log.get().map(|log| {
                let until = Position::new(u64::MAX, 0);
                log.read(ReadFrom::Earliest, until, &everything(), PAGE).unwrap();
                log.stats().last
            });
            let mut heard = self.heard.lock().unwrap();
            heard.wakes += 1;
            heard.seen = heard.seen.max(last);
        }
    }

    fn recorded(count: u64) -> (Arc<Recorder>, Arc<MemoryLog>) {
        let recorder = Arc::new(Recorder::default());
        let log = MemoryLog::open(settings(count), recorder.clone());
        assert!(recorder.log.set(log.clone()).is_ok());
        (recorder, log)
    }

    #[test]
    fn the_tail_hears_everything_once_and_in_order_from_many_publishers() {
        const PUBLISHERS: usize = 6;
        const BATCHES: usize = 200;
        let (recorder, log) = recorded(500);
        let answers: Vec<Appended> = std::thread::scope(|scope| {
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|publisher| {
                    let log = &log;
                    let name = format!("topic/{publisher}");
                    scope.spawn(move || -> Vec<_> {
                        let messages = ["a", "b", "c"];
                        let sizes = (0..BATCHES).map(|n| 1 + n % messages.len());
                        sizes.map(|n| append(log, batch(&name, &messages[..n])).unwrap()).collect()
                    })
                })
                .collect();
            publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect()
        });

        let heard = recorder.heard.lock().unwrap();
        let (epoch, start) = heard.begun[0];
        assert_eq!((heard.begun.len(), start), (1, Position::new(epoch, 0)));
        for (n, event) in heard.events.iter().enumerate() {
            assert_eq!(event.position, Position::new(epoch, n as u64 + 1), "dense, each once");
        }
        let mut promised: Vec<_> = answers.iter().flat_map(Appended::positions).collect();
        promised.sort_unstable();
        let positions: Vec<_> = heard.events.iter().map(|event| event.position).collect();
        assert_eq!(promised, positions, "acknowledged is exactly what the tail heard");
        for answer in &answers {
            let at = (answer.first.seq - 1) as usize;
            let topic = &heard.events[at].topic;
            assert!(heard.events[at..at + answer.count].iter().all(|event| event.topic == *topic));
        }
        assert!(heard.trimmed.is_sorted_by(|a, b| a < b));
        assert_eq!(heard.trimmed.last().unwrap().seq as usize, positions.len() - 500);
        assert_eq!(heard.wakes, 1 + PUBLISHERS * BATCHES);
        assert_eq!(heard.seen, positions.last().copied());
    }

    #[test]
    fn a_repeated_key_publishes_nothing_and_a_refused_one_neither() {
        let (recorder, log) = recorded(100);
        let keyed = |key: &str, messages: &[&str]| Batch {
            key: Some(IdempotencyKey::parse(key).unwrap()),
            ..batch("t", messages)
        };
        let first = append(&log, keyed("k1", &["a", "b"])).unwrap();
        let again = append(&log, keyed("k1", &["a", "b"])).unwrap();
        assert_eq!(again, Appended { repeated: true, ..first });
        append(&log, keyed("k2", &["c"])).unwrap();
        let refused = append(&log, keyed("k3", &["d"]));
        assert!(
            matches!(refused, Err(AppendError::TooManyKeys { limit: 3, own: true })),
            "{refused:?}"
        );
        let next = append(&log, batch("t", &["e"])).unwrap();
        assert_eq!(next.first, first.first.plus(3), "no position was spent");

        let heard = recorder.heard.lock().unwrap();
        let messages: Vec<_> = heard.events.iter().map(|event| &*event.message).collect();
        assert_eq!(messages, ["a", "b", "c", "e"]);
        assert_eq!(heard.wakes, 4, "at the start and once for each accepted batch");
    }

    #[test]
    fn expiry_of_more_than_one_turn_reaches_the_tail_and_the_readers() {
        let (recorder, log) = recorded(1 << 20);
        let messages = vec!["x"; MemoryLog::EXPIRED_PER_TURN * 2 + 1];
        let last = append(&log, batch("t", &messages)).unwrap().positions().last().unwrap();
        log.expire(Timestamp(Timestamp::now().as_millis() + 3_700_000));
        assert_eq!((log.stats().events, log.stats().bytes), (0, 0));
        let heard = recorder.heard.lock().unwrap();
        assert_eq!(heard.trimmed.last(), Some(&last));
        assert_eq!(heard.trimmed.len(), 3);
        drop(heard);
        let from = ReadFrom::After(Position::new(last.epoch, 0));
        let page = log.read(from, last, &everything(), PAGE).unwrap();
        assert_eq!((page.trimmed, page.next), (Some(last), last));
    }

    #[test]
    fn a_tail_that_panics_does_not_end_the_log() {
        struct Faulty;
        impl Tail for Faulty {
            fn begin(&self, _: &Lineage, _: Position) {}
            fn append(&self, events: &[Arc<Event>]) {
                assert_ne!(&*events[0].message, "bad", "a fault above the log");
            }
            fn trim(&self, _: Position) {}
            fn wake(&self) {}
        }
        let log = MemoryLog::open(settings(10), Arc::new(Faulty));
        let faulty = log.clone();
        let thread = std::thread::spawn(move || append(&faulty, batch("t", &["bad"])).is_ok());
        assert!(thread.join().is_err());
        assert_eq!(append(&log, batch("t", &["good"])).unwrap().first.seq, 2);
        assert_eq!(log.stats().events, 2);
    }
}
