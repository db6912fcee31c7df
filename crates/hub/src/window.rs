//! The window: the log's most recent events, in memory, ready to send.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fanfare_event::{Event, Position, Timestamp, Topic};
use fanfare_log::{Between, Lineage, Loss, Retention, Standing, Tail};

use crate::busiest::Busiest;
use crate::dropped::Dropped;
use crate::ledger::Ledger;
use crate::milestones::Milestones;
use crate::{BusyTopic, Frame, Gap, GapReason, Ring, Slot};

/// The recent part of the log. The engine below fills it through [`Tail`]; shards above copy from
/// it what is new to them.
///
/// What must hold: it is contiguous. Where the engine lost something that this node had already
/// delivered, or trimmed what it had not, the window starts anew with a [`Gap`] in front.
#[derive(Debug)]
pub struct Window {
    bounds: WindowBounds,
    retention: Retention,
    state: RwLock<State>,
    listeners: OnceLock<Vec<Arc<dyn Notify>>>,
    /// What the ring holds, encodings included.
    ledger: Arc<Ledger>,
    busiest: Mutex<Busiest>,
    /// Whether anyone looks at the busiest topics.
    watched: AtomicBool,
}

/// How much a window holds at most; the oldest frames leave first.
#[derive(Debug, Clone, Copy)]
pub struct WindowBounds {
    /// The most frames.
    pub count: usize,
    /// The most bytes, by [`Frame::weight`], encodings included. One frame is held however large it
    /// is.
    pub bytes: usize,
}

/// Something that wants to know when the window has changed.
pub trait Notify: std::fmt::Debug + Send + Sync {
    /// Called after every change, outside all locks; cheap when it was called before and has not
    /// been acted on yet.
    fn notify(&self);
}

/// What a window knows of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Survey {
    /// What the current lineage knows of the epoch asked for.
    pub(crate) standing: Standing,
    /// The log's last position.
    pub(crate) last: Position,
    /// Everything retained lies after this position.
    pub(crate) floor: Position,
    /// Where the log goes on for whoever had more of the epoch than is left of it.
    pub(crate) goes_on: Position,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    dropped: Dropped,
    lineage: Option<Lineage>,
    /// The last position the engine reported.
    last: Position,
    /// Nothing up to here is retained by the log.
    trimmed: Position,
    milestones: Milestones,
}

impl Window {
    /// An empty window. It is of use once the engine has called [`Tail::begin`]. `retention` is
    /// the log's: it decides when a quiet subscriber's id is about to age out.
    pub fn new(bounds: WindowBounds, retention: Retention) -> Self {
        let ledger = Arc::new(Ledger::default());
        Self {
            bounds,
            retention,
            state: RwLock::new(State {
                ring: Ring::counted(Position::ORIGIN),
                dropped: Dropped::default(),
                lineage: None,
                last: Position::ORIGIN,
                trimmed: Position::ORIGIN,
                milestones: Milestones::default(),
            }),
            listeners: OnceLock::new(),
            ledger,
            busiest: Mutex::default(),
            watched: AtomicBool::new(false),
        }
    }

    /// Names those to notify of changes; may be called once, before anything is published.
    pub fn listen(&self, listeners: Vec<Arc<dyn Notify>>) {
        let first = self.listeners.set(listeners).is_ok();
        debug_assert!(first, "listeners are set once");
    }

    /// Brings a copy of the ring up to date. Costs what has changed since the last call.
    pub fn follow(&self, copy: &mut Ring) {
        copy.follow(&self.read().ring);
    }

    /// The last position the log has reported.
    pub fn last(&self) -> Position {
        self.read().last
    }

    /// What is known of the log with regard to `epoch`, all of one moment.
    pub(crate) fn survey(&self, epoch: u64) -> Survey {
        let state = self.read();
        let (standing, oldest) = match &state.lineage {
            Some(lineage) => (lineage.standing(epoch), lineage.oldest()),
            None => (Standing::Unknown, 0),
        };
        let floor = state.trimmed.max(Position::new(oldest, 0));
        // Whoever had what was lost has been told: it must not cross the same loss once more.
        let goes_on = match (&state.lineage, standing) {
            (Some(lineage), Standing::EndedAt(end)) => lineage
                .next_loss(end, state.last)
                .filter(|loss| loss.after == end)
                .map_or(end, |loss| loss.resumes),
            _ => state.last,
        };
        Survey { standing, last: state.last, floor, goes_on }
    }

    /// The first known loss between two positions: no page is read across it.
    pub(crate) fn next_loss(&self, after: Position, until: Position) -> Option<Loss> {
        self.read().lineage.as_ref()?.next_loss(after, until)
    }

    /// The offset before which a subscriber's last id is getting old: the log has since moved on
    /// by half of its retention, in events, bytes or time.
    pub fn stale_before(&self, now: Timestamp) -> u64 {
        self.read().milestones.stale_before(&self.retention, now)
    }

    /// Frames and bytes held, for metrics.
    pub fn held(&self) -> (usize, usize) {
        (self.ledger.frames(), self.ledger.bytes())
    }

    /// Lets the oldest frames go where what was encoded since they came has made them too heavy.
    /// To be called after encoding; costs next to nothing where there is nothing to let go of.
    pub fn shed(&self) {
        if self.is_over_bytes() {
            self.bound(&mut self.write());
        }
    }

    /// The topics of frames with these offsets that have left the window, each once; `None` where
    /// that is not known of all of them.
    pub fn dropped(&self, offsets: Range<u64>) -> Option<Vec<Topic>> {
        self.read().dropped.topics(offsets)
    }

    fn is_over_bytes(&self) -> bool {
        self.ledger.bytes() > self.bounds.bytes && self.ledger.frames() > 1
    }

    fn bound(&self, state: &mut State) {
        while state.ring.len() > self.bounds.count || self.is_over_bytes() {
            state.drop_oldest();
        }
    }

    /// The topics that most has been published to since this was first called, lately above all,
    /// busiest first. To be called about once a second, by one caller: counts fade from call to
    /// call.
    pub(crate) fn busiest(&self, now: Timestamp, limit: usize) -> Vec<BusyTopic> {
        self.watch();
        self.busiest.lock().unwrap_or_else(PoisonError::into_inner).look(now, limit)
    }

    /// Somebody looks at the busiest topics from now on.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Nobody looks at the busiest topics any more: they are not counted until someone does.
    pub(crate) fn unwatch(&self) {
        if self.watched.swap(false, Ordering::Relaxed) {
            *self.busiest.lock().unwrap_or_else(PoisonError::into_inner) = Busiest::default();
        }
    }

    // A panic while the lock was held cannot leave a half-made ring: each change is one push, pop
    // or clear. So poisoning is not an error here.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_oldest(&mut self) {
        let offset = self.ring.base();
        if let Some(slot) = self.ring.pop() {
            self.dropped.note(offset, slot.frame.event().map(|event| &event.topic));
        }
    }
}

impl Tail for Window {
    fn begin(&self, lineage: &Lineage, at: Position) {
        let mut state = self.write();
        let last = state.last;
        let missed = match lineage.between(last, at) {
            Between::Nothing => None,
            Between::Events => Some(GapReason::Trimmed),
            Between::Lost => Some(GapReason::EngineLostWrites),
        };
        if state.lineage.is_none() {
            // Nobody has been told anything yet.
            state.ring.restart(at, at);
        } else if let Some(reason) = missed {
            state.ring.restart(at, last);
            let gap = Gap { reason, requested: last.to_string(), resumed_from: at };
            state.ring.push(Slot::new(Frame::of_gap(gap).counted_in(&self.ledger)));
        }
        state.lineage = Some(lineage.clone());
        state.last = at;
    }

    fn append(&self, events: &[Arc<Event>]) {
        // Encoding waits for the first subscriber, hashing need not hold the lock.
        let frame = |event: &Arc<Event>| Frame::new(Arc::clone(event)).counted_in(&self.ledger);
        let slots: Vec<Slot> = events.iter().map(frame).map(Slot::new).collect();
        if self.watched.load(Ordering::Relaxed) {
            let mut busiest = self.busiest.lock().unwrap_or_else(PoisonError::into_inner);
            for (slot, event) in slots.iter().zip(events) {
                slot.key.into_iter().for_each(|key| busiest.count(key, &event.topic));
            }
        }
        let mut guard = self.write();
        let state = &mut *guard;
        for (slot, event) in slots.into_iter().zip(events) {
            state.milestones.pass(state.ring.end(), event, &self.retention);
            state.last = event.position;
            state.ring.push(slot);
        }
        self.bound(state);
    }

    fn trim(&self, through: Position) {
        let mut state = self.write();
        state.trimmed = state.trimmed.max(through);
        while state.ring.from(0).next().is_some_and(|slot| slot.frame.position() <= through) {
            state.drop_oldest();
        }
    }

    fn wake(&self) {
        for listener in self.listeners.get().into_iter().flatten() {
            listener.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanfare_log::Ended;

    use super::*;

    /// What a node that had heard everything up to 1-5 is told when it hears again at `at`.
    fn told(ends: [Ended; 2], at: Position) -> Option<GapReason> {
        let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
        let window = Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention);
        window.begin(&Lineage::root(1), Position::new(1, 5));
        window.begin(&Lineage::recorded(ends, 3).unwrap(), at);
        let state = window.read();
        state.ring.from(0).next().map(|slot| slot.frame.gap().unwrap().reason)
    }

    #[derive(Debug, Default)]
    struct Listener(AtomicBool);

    impl Notify for Listener {
        fn notify(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_who_listen_are_told_of_news() {
        let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
        let window = Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention);
        let listeners = [Arc::<Listener>::default(), Arc::default()];
        window.listen(listeners.iter().map(|it| Arc::clone(it) as Arc<dyn Notify>).collect());
        let told = || listeners.iter().filter(|it| it.0.load(Ordering::Relaxed)).count();
        assert_eq!(told(), 0);
        window.wake();
        assert_eq!(told(), 2);
    }

    #[test]
    fn a_node_that_slept_through_an_epoch_says_so() {
        let whole = |epoch, seq| Ended::whole(Position::new(epoch, seq));
        let at = Position::new(3, 0);
        assert_eq!(told([whole(1, 5), whole(2, 0)], at), None, "an epoch without events");
        assert_eq!(told([whole(1, 5), whole(2, 7)], at), Some(GapReason::Trimmed));
        assert_eq!(told([whole(1, 5), whole(2, 0)], at.next()), Some(GapReason::Trimmed));
        assert_eq!(told([whole(1, 4), whole(2, 0)], at), Some(GapReason::EngineLostWrites));
        let lossy = Ended { lossy: true, ..whole(1, 5) };
        assert_eq!(told([lossy, whole(2, 0)], at), Some(GapReason::EngineLostWrites));
    }
}
