//! A wall clock that steps while a log is open: no key is forgotten before its window has passed.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fanfare_disk::{DiskLog, DiskOptions, DiskState};
use fanfare_disk::{DiskWriter, Progress};
use fanfare_event::Timestamp;
use fanfare_log::{Appended, Batch, Environment, EventLog, Retention};
use fanfare_memory::{MemoryLog, MemorySettings, MemoryState};
use fanfare_testkit::{SimulatedDisk, SimulatedEnvironment};
use support::{Recorder, batch, block_on, keyed, small};

/// How long keys are answered: as the hub does without being told otherwise.
const WINDOW: Duration = Duration::from_secs(300);

/// By how much the wall clock is put on or back, in seconds: also by more than a window.
const STEPS: [i64; 6] = [1, 360, 86_400, -1, -59, -86_400];

fn step(environment: &SimulatedEnvironment, seconds: i64) {
    let now = environment.now().as_millis();
    environment.set_wall(Timestamp(now.saturating_add_signed(seconds * 1000)));
}

fn order(name: &str) -> Batch {
    keyed(name, batch("orders", [name]))
}

fn in_memory() -> MemorySettings {
    let retention = Retention { count: 1000, bytes: 1 << 20, age: Duration::MAX };
    MemorySettings { retention, key_window: WINDOW, key_capacity: 100 }
}

fn sent(state: &MemoryState) -> MemoryState {
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    MemoryState::read(&mut &bytes[..]).unwrap()
}

fn on_disk() -> DiskOptions {
    DiskOptions { key_window: WINDOW, ..small() }
}

/// A log on disk that is worked by hand.
struct SteppedLog {
    log: DiskLog,
    writer: DiskWriter,
}

impl SteppedLog {
    fn open(disk: &SimulatedDisk, environment: &Arc<SimulatedEnvironment>) -> Self {
        let (storage, tail) = (Arc::new(disk.clone()), Arc::<Recorder>::default());
        let (log, writer) =
            DiskLog::open_by_hand(storage, environment.clone(), on_disk(), tail).unwrap();
        Self { log, writer }
    }

    fn resume(
        disk: &SimulatedDisk,
        environment: &Arc<SimulatedEnvironment>,
        state: DiskState,
    ) -> Self {
        let (storage, tail) = (Arc::new(disk.clone()), Arc::<Recorder>::default());
        let (log, writer) =
            DiskLog::resume_by_hand(storage, environment.clone(), on_disk(), tail, state).unwrap();
        log.thaw();
        Self { log, writer }
    }

    fn work(&mut self) {
        while self.writer.step() == Progress::Worked {}
    }

    fn publish(&mut self, batch: Batch) -> Appended {
        let appending = self.log.append(batch);
        self.work();
        block_on(appending).unwrap()
    }

    fn expire(&mut self, now: Timestamp) {
        self.log.expire(now);
        self.work();
    }

    fn frozen(&mut self) -> DiskState {
        self.log.ask_to_freeze();
        self.work();
        self.log.frozen(Duration::ZERO).unwrap()
    }

    fn close(mut self) {
        drop(self.log);
        while self.writer.step() != Progress::Ended {}
    }
}

#[test]
fn a_stepped_clock_costs_no_key_in_memory() {
    for seconds in STEPS {
        let environment = Arc::new(SimulatedEnvironment::new(1));
        let log = MemoryLog::open_in(environment.clone(), in_memory(), Arc::<Recorder>::default());
        let publish = |log: &MemoryLog, name| block_on(log.append(order(name))).unwrap();
        let first = publish(&log, "one");
        step(&environment, seconds);
        log.expire(environment.now());
        environment.pass(WINDOW - Duration::from_millis(1));
        log.expire(environment.now());
        let again = publish(&log, "one");
        assert_eq!(again, Appended { repeated: true, ..first }, "{seconds} s");
        // Whoever goes on with it counts on, by whatever its clock says.
        let state = sent(&log.state());
        let elsewhere = Arc::new(SimulatedEnvironment::new(2));
        step(&elsewhere, seconds);
        let next =
            MemoryLog::resume_in(elsewhere.clone(), in_memory(), Arc::<Recorder>::default(), state);
        assert!(publish(&next, "one").repeated, "{seconds} s, handed over");
        for (log, environment) in [(&log, &environment), (&next, &elsewhere)] {
            environment.pass(Duration::from_millis(1));
            assert!(!publish(log, "one").repeated, "{seconds} s: its window has ended");
        }
    }
}

#[test]
fn a_stepped_clock_costs_no_key_on_disk() {
    for seconds in STEPS {
        for trims in [false, true] {
            let disk = SimulatedDisk::new(1);
            let environment = Arc::new(SimulatedEnvironment::new(1));
            let mut open = SteppedLog::open(&disk, &environment);
            let first = open.publish(order("one"));
            step(&environment, seconds);
            open.expire(environment.now());
            environment.pass(Duration::from_secs(1));
            if trims {
                // Its segment goes; the key must not.
                for _ in 0..60 {
                    open.publish(batch("chat", ["x".repeat(900)]));
                    open.expire(environment.now());
                }
            }
            let again = open.publish(order("one"));
            assert_eq!(again, Appended { repeated: true, ..first }, "{seconds} s, {trims}");
            // The clock is right again at a start, as if it had never been wrong.
            step(&environment, -seconds);
            let copy = disk.copy();
            let mut restarted = SteppedLog::open(&copy, &environment);
            assert!(restarted.publish(order("one")).repeated, "{seconds} s, {trims}, restarted");
            restarted.close();
            let state = open.frozen();
            let mut next = SteppedLog::resume(&disk, &environment, state);
            open.log.release();
            step(&environment, seconds);
            environment.pass(WINDOW - Duration::from_millis(1001));
            next.expire(environment.now());
            assert!(next.publish(order("one")).repeated, "{seconds} s, {trims}, handed over");
            environment.pass(Duration::from_millis(1));
            assert!(!next.publish(order("one")).repeated, "{seconds} s: its window has ended");
        }
    }
}

/// The wall clock is ahead for a moment, by less than it takes to be noticed, and a batch is dated by it.
#[test]
fn a_batch_of_the_future_costs_no_key_at_a_start() {
    let environment = Arc::new(SimulatedEnvironment::new(7));
    let disk = SimulatedDisk::new(7);
    let mut log = SteppedLog::open(&disk, &environment);
    let first = log.publish(order("first"));
    environment.pass(Duration::from_secs(250));
    step(&environment, 59);
    log.publish(order("second"));
    step(&environment, -59);
    log.close();
    let mut log = SteppedLog::open(&disk, &environment);
    let again = log.publish(order("first"));
    assert_eq!(again, Appended { repeated: true, ..first });
}
