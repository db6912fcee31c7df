//! The log on disk driven by hand, in one thread: whoever simulates time, chance and the disk gets the
//! same log from the same seed, to the byte.

#![allow(clippy::unwrap_used)]

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fanfare_disk::{DiskLog, DiskOptions, SyncPolicy};
use fanfare_disk::{DiskWriter, Progress};
use fanfare_log::{Appended, Appending, Environment, EventLog};
use fanfare_testkit::{DiskFault, SimulatedDisk, SimulatedEnvironment};
use support::{Recorder, batch, earliest, keyed, small};

struct Machine {
    disk: SimulatedDisk,
    environment: Arc<SimulatedEnvironment>,
    tail: Arc<Recorder>,
    log: DiskLog,
    writer: DiskWriter,
}

impl Machine {
    fn start(disk: &SimulatedDisk, seed: u64, options: DiskOptions) -> Self {
        let environment = Arc::new(SimulatedEnvironment::new(seed));
        let tail = Arc::<Recorder>::default();
        let (log, writer) = DiskLog::open_by_hand(
            Arc::new(disk.clone()),
            environment.clone(),
            options,
            tail.clone(),
        )
        .unwrap();
        Self { disk: disk.clone(), environment, tail, log, writer }
    }

    fn work(&mut self) -> Option<Duration> {
        loop {
            match self.writer.step() {
                Progress::Worked => {}
                Progress::Idle(left) => return left,
                Progress::Ended => panic!("the log is open"),
            }
        }
    }

    fn stop(mut self) -> SimulatedDisk {
        drop(self.log);
        while self.writer.step() != Progress::Ended {}
        self.disk
    }
}

fn poll(appending: &mut Appending) -> Poll<Appended> {
    let polled = Pin::new(appending).poll(&mut Context::from_waker(Waker::noop()));
    polled.map(Result::unwrap)
}

fn live(seed: u64) -> Vec<(String, Vec<u8>)> {
    let disk = SimulatedDisk::new(seed);
    for start in 0..2 {
        let mut machine = Machine::start(&disk, seed + start, small());
        for n in 0..60 {
            let published = keyed(&format!("key {start} {n}"), batch("a", ["x".repeat(500)]));
            let mut appending = machine.log.append(published);
            assert!(poll(&mut appending).is_pending(), "written before its turn");
            machine.work();
            assert!(poll(&mut appending).is_ready());
            machine.environment.pass(Duration::from_millis(700));
            machine.log.expire(machine.environment.now());
        }
        assert!(!earliest(&machine.log, &machine.tail).events.is_empty());
        machine.stop();
    }
    disk.names().into_iter().map(|name| (name.clone(), disk.read(&name))).collect()
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let (once, again) = (live(7), live(7));
    assert_eq!(once.iter().map(|file| &file.0).collect::<Vec<_>>().len(), once.len());
    assert_eq!(once, again);
    assert_ne!(once, live(8), "nothing of it is decided by the seed");
}

#[test]
fn a_sync_that_is_due_waits_for_no_event() {
    let interval = SyncPolicy::Interval(Duration::from_millis(100));
    let mut machine =
        Machine::start(&SimulatedDisk::new(1), 1, DiskOptions { sync: interval, ..small() });
    let mut appending = machine.log.append(batch("a", ["one"]));
    let left = machine.work();
    assert!(poll(&mut appending).is_ready());
    assert_eq!(left, Some(Duration::from_millis(100)));
    assert!(!machine.disk.is_synced());
    machine.environment.pass(Duration::from_millis(60));
    assert_eq!(machine.work(), Some(Duration::from_millis(40)));
    machine.environment.pass(Duration::from_millis(40));
    assert_eq!(machine.work(), None);
    assert!(machine.disk.is_synced());
}

#[test]
fn a_publisher_of_a_gone_writer_is_answered() {
    let machine = Machine::start(&SimulatedDisk::new(1), 1, small());
    let mut appending = machine.log.append(batch("a", ["one"]));
    drop(machine.writer);
    let polled = Pin::new(&mut appending).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))));
    assert!(machine.log.ready().is_err());
}

#[test]
fn a_failed_log_has_no_sync_due() {
    let interval = SyncPolicy::Interval(Duration::from_millis(100));
    let mut machine =
        Machine::start(&SimulatedDisk::new(1), 1, DiskOptions { sync: interval, ..small() });
    let mut appending = machine.log.append(batch("a", ["one"]));
    machine.work();
    assert!(poll(&mut appending).is_ready());
    machine.disk.fail(0, DiskFault::Error);
    let mut refused = machine.log.append(batch("a", ["two"]));
    machine.work();
    let polled = Pin::new(&mut refused).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))));
    machine.environment.pass(Duration::from_secs(1));
    let mut late = (0..10).map(|_| machine.writer.step());
    assert!(late.any(|progress| progress == Progress::Idle(None)), "it has nothing to do");
    drop(machine.log);
    let mut last = (0..10).map(|_| machine.writer.step());
    assert!(last.any(|progress| progress == Progress::Ended), "it does not close");
}
