use std::sync::Weak;

use fanfare_event::{Draft, EventId, Position, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Interest, Window, WindowBounds};
use fanfare_log::{
    Appending, Batch, EventLog, Finding, ReadError, ReadFrom, Retention, Tail, Unready,
};
use fanfare_testkit::FickleLog;

use super::*;
use crate::address_group::AddressGroup;
use crate::settings::StepLimits;

pub(super) fn job(group: u32) -> ReadJob {
    ReadJob {
        address_group: AddressGroup(group),
        awaited: Weak::new(),
        from: ReadFrom::Earliest,
        interest: Arc::new(Interest::new(Selector::default(), PrivateRights::None)),
        envelope: Envelope::None,
        limit: StepLimits::SMALL.page,
        most_bytes: StepLimits::SMALL.page.bytes,
        done: Box::new(|_| ()),
    }
}

#[test]
fn the_log_is_not_read_for_one_who_has_left() {
    let retention =
        Retention { count: 10, bytes: 1 << 20, age: std::time::Duration::from_secs(60) };
    let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
    let log = FickleLog::open(10, Arc::clone(&window) as Arc<dyn Tail>);
    let hub = Hub::new(window, log);
    let readers = ReadQueue::new();
    let (reading, answered) = (Arc::new(()), Arc::new(Mutex::new(0)));
    let ask = |reading: &Arc<()>| {
        let answered = Arc::clone(&answered);
        // The interest in the default topic alone is one that all share.
        readers.submit(ReadJob {
            awaited: Arc::downgrade(reading),
            done: Box::new(move |_| *answered.lock().unwrap() += 1),
            ..job(1)
        });
    };
    ask(&reading);
    assert!(readers.step(&hub));
    ask(&reading);
    drop(reading);
    assert!(readers.step(&hub));
    assert_eq!(*answered.lock().unwrap(), 1);
}

#[test]
fn pages_not_sent_yet_are_bounded() {
    let retention =
        Retention { count: 10, bytes: 1 << 20, age: std::time::Duration::from_secs(60) };
    let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
    let log = FickleLog::open(10, Arc::clone(&window) as Arc<dyn Tail>);
    let hub = Hub::new(window, log);
    let readers = ReadQueue::new();
    let (reading, pages) = (Arc::new(()), Arc::new(Mutex::new(Vec::new())));
    for group in 0..2 * PAGES_AT_ONCE {
        let pages = Arc::clone(&pages);
        readers.submit(ReadJob {
            awaited: Arc::downgrade(&reading),
            done: Box::new(move |page| pages.lock().unwrap().push(page)),
            ..job(u32::try_from(group).unwrap())
        });
    }
    while readers.step(&hub) {}
    assert_eq!(pages.lock().unwrap().len(), PAGES_AT_ONCE);
    drop(pages.lock().unwrap().pop());
    assert!(readers.step(&hub) && !readers.step(&hub), "one page is sent, and one is read");
}

/// A log in which something happens while it is read.
struct Interrupted {
    log: Arc<FickleLog>,
    interruption: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl EventLog for Interrupted {
    fn append(&self, batch: Batch) -> Appending {
        self.log.append(batch)
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<fanfare_log::Page, ReadError> {
        let interruption = self.interruption.lock().unwrap().take();
        interruption.into_iter().for_each(|happens| happens());
        self.log.read(from, until, selector, limit)
    }

    fn find(&self, id: &EventId) -> Finding {
        self.log.find(id)
    }

    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
}

/// Readers of a log with ten events, and who waits for them.
struct ReaderRig {
    log: Arc<Interrupted>,
    hub: Arc<Hub>,
    readers: ReadQueue,
    reading: Arc<()>,
    /// How many events each page had, or that it could not be read, in the order in which they came.
    pages: Arc<Mutex<Vec<Option<usize>>>>,
}

impl ReaderRig {
    fn new() -> Self {
        let retention =
            Retention { count: 10, bytes: 1 << 20, age: std::time::Duration::from_secs(60) };
        let bounds = WindowBounds { count: 1, bytes: 1 << 20 };
        let window = Arc::new(Window::new(bounds, retention));
        let log = FickleLog::open(10, Arc::clone(&window) as Arc<dyn Tail>);
        let log = Arc::new(Interrupted { log, interruption: Mutex::new(None) });
        let hub = Arc::new(Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>));
        let draft =
            Draft { topic: Topic::default(), event_type: None, message: "".into(), extras: None };
        drop(hub.publish(Batch { drafts: vec![draft; 10], key: None }));
        Self { log, hub, readers: ReadQueue::new(), reading: Arc::default(), pages: Arc::default() }
    }

    /// Asks for what one lacks who has so many events; a closure, so that it may happen later.
    fn ask(&self, seq: u64) -> impl FnOnce() + Send + use<> {
        let (readers, pages) = (self.readers.clone(), Arc::clone(&self.pages));
        let (awaited, hub) = (Arc::downgrade(&self.reading), Arc::clone(&self.hub));
        move || {
            let from = ReadFrom::After(Position { seq, ..hub.window().last() });
            let done = Box::new(move |page: Result<LoadedPage, ReadError>| {
                let events = page.ok().map(|page| page.catchup.slots.len());
                pages.lock().unwrap().push(events);
            });
            readers.submit(ReadJob { awaited, from, done, ..job(1) });
        }
    }

    fn meanwhile(&self, happens: impl FnOnce() + Send + 'static) {
        *self.log.interruption.lock().unwrap() = Some(Box::new(happens));
    }

    /// Reads everything; how many events each page had, and how often the log was read.
    fn run(&self) -> (Vec<Option<usize>>, u64) {
        while self.readers.step(&self.hub) {}
        (self.pages.lock().unwrap().clone(), self.hub.reads())
    }
}

#[test]
fn those_who_wait_for_the_same_share_a_read() {
    let rig = ReaderRig::new();
    [5, 5, 8, 5].into_iter().for_each(|seq| rig.ask(seq)());
    assert_eq!(rig.run(), (vec![Some(5), Some(5), Some(2), Some(5)], 1));
    [5, 5].into_iter().for_each(|seq| rig.ask(seq)());
    assert_eq!(rig.run().1, 2, "whoever comes later has it read anew");
}

#[test]
fn one_who_asks_after_a_read_began_gets_its_own() {
    let rig = ReaderRig::new();
    [5, 5].into_iter().for_each(|seq| rig.ask(seq)());
    rig.meanwhile(rig.ask(5));
    assert_eq!(rig.run(), (vec![Some(5); 3], 2));
}

#[test]
fn what_one_thread_reads_no_other_reads() {
    let rig = ReaderRig::new();
    [5, 5, 7].into_iter().for_each(|seq| rig.ask(seq)());
    let (hub, readers) = (Arc::clone(&rig.hub), rig.readers.clone());
    rig.meanwhile(move || {
        assert!(!readers.step(&hub), "the others wait for this one");
        assert_eq!(readers.waiting(), 2);
    });
    assert_eq!(rig.run(), (vec![Some(5), Some(5), Some(3)], 1));
}

#[test]
fn a_failed_read_fails_nobody_who_waits_for_it() {
    let rig = ReaderRig::new();
    [5, 5].into_iter().for_each(|seq| rig.ask(seq)());
    let (hub, readers, log) = (Arc::clone(&rig.hub), rig.readers.clone(), Arc::clone(&rig.log.log));
    rig.meanwhile(move || {
        assert!(!readers.step(&hub));
        log.set_readable(false);
    });
    assert!(rig.readers.step(&rig.hub));
    rig.log.log.set_readable(true);
    assert_eq!(rig.run(), (vec![None, Some(5)], 2));
}

#[test]
fn one_a_read_did_not_reach_waits_for_one_that_will() {
    let at = |seq| ReadFrom::After(Position::new(1, seq));
    let reach = |from| Reach::of(&ReadJob { from, ..job(1) });
    let (mut jobs, mut shared) = (Jobs::default(), SharedReads::default());
    jobs.push(ReadJob { from: at(2), ..job(1) });
    let first = shared.begin(reach(at(1)), jobs.asked());
    assert!(shared.park(jobs.pop().unwrap()).is_none(), "it might be reached");
    let (parked, _) = shared.end(first, None);
    parked.into_iter().for_each(|asked| jobs.put_back(asked));
    let _ = shared.begin(reach(at(1)), jobs.asked());
    let again = shared.park(jobs.pop().unwrap());
    let again = again.expect("those before it could go on like that for ever");
    let _ = shared.begin(reach(at(2)), jobs.asked());
    assert!(shared.park(again).is_none(), "this one serves it, whatever it brings");
}

#[test]
fn a_herd_on_one_read_does_not_hold_the_queue() {
    let rig = ReaderRig::new();
    (0..=2 * AT_ONCE).for_each(|_| rig.ask(5)());
    let readers = rig.readers.clone();
    let turns = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&turns);
    rig.meanwhile(move || {
        // As another reader does, which finds all of them waiting for this read.
        while matches!(readers.0.lock().next(), NextRead::More) {
            *counted.lock().unwrap() += 1;
        }
        assert_eq!(readers.waiting(), 2 * AT_ONCE);
    });
    assert!(rig.readers.step(&rig.hub));
    assert_eq!(*turns.lock().unwrap(), 2, "the queue is let go of between");
    assert_eq!(rig.readers.waiting(), 2 * AT_ONCE, "nobody is lost");
    assert_eq!(rig.run().1, 1, "one read for all");
}

#[test]
fn stretches_kept_are_bounded() {
    let rig = ReaderRig::new();
    let mut state = rig.readers.0.lock();
    for _ in 0..10 {
        let job = job(1);
        let number = state.shared.begin(Reach::of(&job), 0);
        let stretch = rig.hub.read_stretch(job.from, &job.interest, job.limit).unwrap();
        drop(state.shared.end(number, Some(&Arc::new(stretch))));
    }
    assert_eq!(state.release_unclaimed().len(), 4);
}

#[test]
fn unwanted_stretches_are_not_kept() {
    let rig = ReaderRig::new();
    [5, 5].into_iter().for_each(|seq| rig.ask(seq)());
    rig.run();
    assert!(rig.readers.0.lock().release_unclaimed().is_empty());
}
