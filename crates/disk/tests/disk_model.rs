//! The log on disk against a model: whatever was acknowledged is there, in order, at its position,
//! whatever the disk does; or the log refuses.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fanfare_disk::Storage;
use fanfare_disk::{DiskLog, DiskOptions, DiskState, SyncPolicy};
use fanfare_event::{Position, Timestamp, Topic};
use fanfare_log::{AppendError, Between, EpochStatus, EventLog};
use fanfare_testkit::{DiskFault, SimulatedDisk};
use proptest::prelude::*;
use support::{Recorder, after, append, batch, earliest, keyed, small};

const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c"];

#[derive(Debug, Clone, Copy)]
enum Op {
    Append {
        topic: usize,
        count: usize,
        size: usize,
        key: Option<u8>,
    },
    Fail {
        ahead: u64,
        fault: DiskFault,
    },
    Expire,
    /// The machine stops and starts.
    Crash,
    /// The hub stops and starts.
    Reopen,
    /// Another process is to go on with the log.
    HandOver(HandOver),
}

/// What becomes of a hand-over.
#[derive(Debug, Clone, Copy)]
enum HandOver {
    /// It is given up: before the other process has begun, or after.
    Abandoned {
        late: bool,
    },
    Committed,
    /// Both processes are killed before it is committed, or the machine stops.
    Killed {
        machine: bool,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let fault = prop_oneof![
        4 => Just(DiskFault::Crash),
        2 => Just(DiskFault::Short),
        2 => Just(DiskFault::Full),
        1 => Just(DiskFault::Error),
    ];
    let op = prop_oneof![
        12 => (0..TOPICS.len(), 1_usize..4, 0_usize..900, prop::option::weighted(0.3, 0_u8..6))
            .prop_map(|(topic, count, size, key)| Op::Append { topic, count, size, key }),
        3 => (0_u64..12, fault).prop_map(|(ahead, fault)| Op::Fail { ahead, fault }),
        1 => Just(Op::Expire),
        2 => Just(Op::Crash),
        2 => Just(Op::Reopen),
        2 => prop_oneof![
            any::<bool>().prop_map(|late| HandOver::Abandoned { late }),
            Just(HandOver::Committed),
            any::<bool>().prop_map(|machine| HandOver::Killed { machine }),
        ].prop_map(Op::HandOver),
    ];
    prop::collection::vec(op, 1..120)
}

/// What must be, what may be and what must not be in the log.
struct Model {
    disk: SimulatedDisk,
    options: DiskOptions,
    log: Option<DiskLog>,
    tail: Arc<Recorder>,
    acknowledged: BTreeMap<Position, (usize, String)>,
    /// Messages of which it is not known whether they were accepted.
    unknown: HashSet<String>,
    refused: Vec<String>,
    keys: HashMap<u8, Position>,
    /// Everything up to here may be gone.
    trimmed: Position,
    batches: usize,
}

impl Model {
    fn new(disk: SimulatedDisk, options: DiskOptions) -> Self {
        let mut model = Self {
            disk,
            options,
            log: None,
            tail: Arc::default(),
            acknowledged: BTreeMap::new(),
            unknown: HashSet::new(),
            refused: Vec::new(),
            keys: HashMap::new(),
            trimmed: Position::ORIGIN,
            batches: 0,
        };
        model.open();
        model
    }

    fn open(&mut self) {
        for _ in 0..30 {
            self.tail = Arc::default();
            let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
            match DiskLog::open_on(storage, self.options.clone(), self.tail.clone()) {
                Ok(log) => {
                    self.log = Some(log);
                    self.check();
                    return;
                }
                Err(_) if self.disk.has_crashed() => self.disk.restart(),
                // Some fault that was still to come: a start may fail, as long as the next works.
                Err(_) => self.disk.clear_faults(),
            }
        }
        panic!("the log does not open");
    }

    fn close(&mut self) {
        self.log = None;
        self.trimmed = self.trimmed.max(self.tail.trimmed());
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Append { topic, count, size, key } => self.append(topic, count, size, key),
            Op::Fail { ahead, fault } => self.disk.fail(ahead, fault),
            Op::Expire => self.log.as_ref().unwrap().expire(Timestamp::now()),
            Op::Crash => {
                // What the writer does after this fails, as if it had not come to it.
                self.disk.fail(0, DiskFault::Crash);
                self.close();
                self.disk.restart();
                self.open();
            }
            Op::Reopen => {
                self.close();
                if self.disk.has_crashed() {
                    self.disk.restart();
                }
                self.open();
            }
            Op::HandOver(end) => self.hand_over(end),
        }
    }

    fn hand_over(&mut self, end: HandOver) {
        let old = self.log.take().unwrap();
        let state = match old.freeze(Duration::from_secs(60)) {
            Ok(state) => state,
            // It goes on as it can.
            Err(_) => return self.log = Some(old),
        };
        // Whatever stands beside the events is made again of them, or goes along as what is yet to be written; a
        // segment without events is begun anew, or is left of an epoch that ended before it had any.
        let holds_events = |name: &String| {
            let (epoch, first) = name.strip_suffix(".log")?.split_once('-')?;
            let first = Position::new(epoch.parse().ok()?, first.parse().ok()?);
            let next = self.acknowledged.range(first..).next()?;
            (next.0.epoch == first.epoch).then_some(())
        };
        let mut unsynced = self.disk.unsynced();
        unsynced.retain(|name| holds_events(name).is_some());
        assert!(unsynced.is_empty(), "another process goes on with what may be lost: {unsynced:?}");
        let changes = Arc::new(AtomicUsize::new(0));
        self.disk.before_each_change({
            let changes = Arc::clone(&changes);
            move || _ = changes.fetch_add(1, Ordering::Relaxed)
        });
        old.expire(Timestamp::now());
        let mut bytes = Vec::new();
        state.write(&mut bytes).unwrap();
        let state = DiskState::read(&mut &bytes[..]).unwrap();
        let tail = Arc::<Recorder>::default();
        let begin = || {
            let (storage, options) = (Arc::new(self.disk.clone()), self.options.clone());
            DiskLog::resume_on(storage, options, tail.clone(), state.clone()).unwrap()
        };
        let unchanged = || assert_eq!(changes.load(Ordering::Relaxed), 0, "something was written");
        match end {
            HandOver::Abandoned { late } => {
                if late {
                    drop(begin());
                }
                unchanged();
                old.thaw();
                self.log = Some(old);
            }
            HandOver::Committed => {
                let new = begin();
                assert_eq!(tail.last(), state.last(), "it goes on in the same epoch");
                assert_eq!(tail.lineage(), self.tail.lineage());
                unchanged();
                old.release();
                drop(old);
                unchanged();
                new.thaw();
                self.trimmed = self.trimmed.max(self.tail.trimmed()).max(tail.trimmed());
                self.tail = tail;
                self.log = Some(new);
                self.check();
            }
            HandOver::Killed { machine } => {
                drop(begin());
                old.release();
                drop(old);
                unchanged();
                self.close();
                if machine {
                    self.disk.restart();
                }
                self.open();
            }
        }
    }

    fn append(&mut self, topic: usize, count: usize, size: usize, key: Option<u8>) {
        let name = format!("{}:{}", self.batches, "x".repeat(size));
        self.batches += 1;
        let messages: Vec<_> = (0..count).map(|n| format!("{n}/{count} of {name}")).collect();
        let mut batch = batch(TOPICS[topic], messages.clone());
        if let Some(key) = key {
            batch = keyed(&key.to_string(), batch);
        }
        let log = self.log.as_ref().unwrap();
        let before = log.ready();
        match append(log, batch) {
            Ok(appended) => {
                assert!(before.is_ok(), "accepted although not ready");
                let known = key.and_then(|key| self.keys.get(&key)).copied();
                if appended.repeated {
                    assert!(known.is_none_or(|first| first == appended.first));
                    self.refused.extend(messages);
                    return;
                }
                assert!(known.is_none() || self.loses(), "a key was forgotten within its window");
                if let Some(key) = key {
                    self.keys.insert(key, appended.first);
                }
                for (position, message) in appended.positions().zip(messages) {
                    self.acknowledged.insert(position, (topic, message));
                }
            }
            Err(AppendError::OutcomeUnknown { .. }) => {
                assert!(log.ready().is_err(), "nothing is accepted when so much is unknown");
                self.unknown.extend(messages);
                if let Some(key) = key {
                    self.keys.remove(&key);
                }
            }
            Err(AppendError::Unavailable { .. }) => {
                assert!(log.ready().is_err());
                self.refused.extend(messages);
            }
            Err(AppendError::Full { .. }) => {
                assert!(log.ready().is_ok());
                self.refused.extend(messages);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&mut self) {
        let log = self.log.as_ref().unwrap();
        let found = earliest(log, &self.tail);
        let trimmed = self.trimmed.max(self.tail.trimmed());
        let mut batches: HashMap<&str, (usize, &str)> = HashMap::new();
        for event in &found.events {
            let message = event.message.to_string();
            let (place, batch) = event.message.split_once(" of ").unwrap();
            batches.entry(batch).or_insert((0, place.split_once('/').unwrap().1)).0 += 1;
            assert!(!self.refused.contains(&message), "refused and published: {message}");
            match self.acknowledged.get(&event.position) {
                Some((topic, expected)) => {
                    assert_eq!(message, *expected);
                    assert_eq!(event.topic.as_str(), TOPICS[*topic]);
                }
                None => assert!(self.unknown.contains(&message), "never published: {message}"),
            }
            assert_ne!(
                self.tail.lineage().epoch_status(event.position.epoch),
                EpochStatus::Unknown
            );
        }
        for (found, count) in batches.into_values() {
            assert_eq!(found.to_string(), count, "half a batch");
        }
        let found_at = found.positions();
        for position in self.acknowledged.keys().filter(|&&position| position > trimmed) {
            if self.loses() && !found_at.contains(position) {
                continue;
            }
            assert!(found_at.contains(position), "{position} was acknowledged and is gone");
            assert!(!found.covers(*position));
            let epoch_status = self.tail.lineage().epoch_status(position.epoch);
            // After a hand-over, the epoch goes on.
            let ended = matches!(epoch_status, EpochStatus::EndedAt(end) if end >= *position);
            assert!(
                ended || epoch_status == EpochStatus::Current,
                "{position} in {epoch_status:?}"
            );
        }
        // From one cursor in each quarter, topic by topic.
        let positions: Vec<_> = self.acknowledged.keys().copied().collect();
        for cursor in positions.iter().step_by(positions.len() / 4 + 1) {
            for wanted in [&["a"][..], &["b/*"], &["b/1", "c"]] {
                let found = after(log, &self.tail, *cursor, wanted);
                let expected =
                    self.acknowledged.range(cursor.next()..).filter(|(at, (topic, _))| {
                        let topic = Topic::parse(TOPICS[*topic]).unwrap();
                        let selector = fanfare_event::Selector::parse(wanted.iter().copied(), []);
                        selector.unwrap().topics.matches(&topic) && !found.covers(**at)
                    });
                let found_at = found.positions();
                for (position, _) in expected {
                    let told = found_at.contains(position) || self.is_told(*cursor);
                    assert!(told, "{position} passed over after {cursor}");
                }
            }
        }
        // What is gone was announced: nothing acknowledged is missing without a gap.
        let all = after(log, &self.tail, Position::new(1, 0), &["**"]);
        for position in self.acknowledged.keys() {
            let told = all.covers(*position) || all.positions().contains(position);
            assert!(told || self.is_told(Position::new(position.epoch, 0)));
        }
    }

    /// Whether what was acknowledged may go with the machine.
    fn loses(&self) -> bool {
        self.options.sync != SyncPolicy::Disk
    }

    /// Whether the hub tells whoever comes with this cursor, or reads on from it, of a loss.
    fn is_told(&self, cursor: Position) -> bool {
        self.loses() && self.tail.lineage().between(cursor, self.tail.last()) == Between::Lost
    }
}

fn run(seed: u64, sync: SyncPolicy, ops: Vec<Op>) {
    let mut options = small();
    options.sync = sync;
    let mut model = Model::new(SimulatedDisk::new(seed), options);
    for op in ops {
        model.apply(op);
    }
    model.disk.clear_faults();
    model.apply(Op::Reopen);
}

proptest! {
    #[test]
    fn whatever_was_acknowledged_survives_crashes_and_faults(seed: u64, ops in ops()) {
        run(seed, SyncPolicy::Disk, ops);
    }

    #[test]
    fn what_goes_with_the_machine_is_told_of(seed: u64, ops in ops()) {
        run(seed, SyncPolicy::Os, ops);
    }

    #[test]
    fn what_the_system_holds_survives_the_process(seed: u64, ops in ops()) {
        let survives = |op: &Op| !matches!(op, Op::Crash | Op::Fail { fault: DiskFault::Crash, .. });
        run(seed, SyncPolicy::Os, ops.into_iter().filter(survives).collect());
    }
}
