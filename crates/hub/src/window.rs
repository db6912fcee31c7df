//! The window: the log's most recent events, in memory, ready to send.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fanfare_event::{Event, Position, Timestamp};
use fanfare_log::{Lineage, Retention, Tail};

use crate::busiest::Busiest;
use crate::continuity::Continuity;
use crate::dropped::{Dropped, DroppedTopics};
use crate::ledger::Ledger;
use crate::milestones::Milestones;
use crate::ring::Concern;
use crate::{BusyTopic, Frame, News, Ring, Slot, TopicKey};

/// The recent part of the log. The engine below fills it through [`Tail`]; shards above copy from
/// it what is new to them.
///
/// What must hold: it is contiguous. Where the engine lost something that this node had already
/// delivered, or trimmed what it had not, the window starts anew with a [`Gap`] in front.
#[derive(Debug)]
pub struct Window {
    bounds: WindowBounds,
    retention: Retention,
    state: RwLock<WindowState>,
    listeners: RwLock<Arc<[Arc<dyn Notify>]>>,
    /// What listeners have not been told of.
    news: Mutex<News>,
    /// What the ring holds, encodings included.
    ledger: Arc<Ledger>,
    busiest: Mutex<Busiest>,
    /// Whether anyone looks at the busiest topics.
    watched: AtomicBool,
    overruns: AtomicU64,
    unknown_overruns: AtomicU64,
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
    /// Called after every change, outside the locks of log and window, of which this is the news; cheap when it was
    /// called before and has not been acted on yet.
    fn notify(&self, news: &News);

    /// The same, on the thread of a publisher, which has the time for a few system calls. Whether they were made: then
    /// others are only notified.
    fn notify_from_publisher(&self, news: &News) -> bool {
        self.notify(news);
        false
    }
}

#[derive(Debug)]
struct WindowState {
    ring: Ring,
    dropped: Dropped,
    continuity: Continuity,
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
            state: RwLock::new(WindowState {
                ring: Ring::counted(Position::ORIGIN),
                dropped: Dropped::default(),
                continuity: Continuity::unknown(),
                milestones: Milestones::default(),
            }),
            listeners: RwLock::new(Arc::new([])),
            news: Mutex::default(),
            ledger,
            busiest: Mutex::default(),
            watched: AtomicBool::new(false),
            overruns: AtomicU64::new(0),
            unknown_overruns: AtomicU64::new(0),
        }
    }

    /// These are notified of changes from now on, beside those that are already. To be called before
    /// anything is published that they should not miss.
    pub fn listen(&self, listeners: Vec<Arc<dyn Notify>>) {
        let mut all = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        *all = all.iter().cloned().chain(listeners).collect();
    }

    /// Brings a copy of the ring up to date. Costs what has changed since the last call.
    pub fn follow(&self, copy: &mut Ring) {
        copy.follow(&self.read().ring);
    }

    /// The last position the log has reported.
    pub fn last(&self) -> Position {
        self.read().continuity.last()
    }

    /// How much it holds at most.
    pub(crate) fn bounds(&self) -> WindowBounds {
        self.bounds
    }

    /// What is known of the log, and the position before the oldest frame, both of one moment.
    pub(crate) fn beginning(&self) -> (Continuity, Position) {
        let state = self.read();
        (state.continuity.clone(), state.ring.floor())
    }

    /// Puts these events before all frames: everything after `floor` and up to `begins`, where the window
    /// began when `known` was known. How many frames there are more; none where the window begins
    /// elsewhere by now, another epoch has begun, or somebody listens already.
    pub(crate) fn warm(
        &self,
        known: &Continuity,
        begins: Position,
        floor: Position,
        events: Vec<Arc<Event>>,
    ) -> usize {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        let mut guard = self.write();
        let state = &mut *guard;
        let fits = state.ring.floor() == begins && state.continuity.same_history_as(known);
        if !fits || !listeners.is_empty() || floor >= begins {
            return 0;
        }
        let before = state.ring.len();
        let frame = |event: Arc<Event>| Frame::new(event).counted_in(&self.ledger);
        state.ring.prepend(floor, events.into_iter().map(frame).map(Slot::new).collect());
        state.milestones = Milestones::default();
        for (offset, slot) in (state.ring.base()..).zip(state.ring.from(0)) {
            if let Some(event) = slot.frame.event() {
                state.milestones.pass(offset, event, &self.retention);
            }
        }
        state.drop_trimmed();
        self.bound(state);
        state.ring.len().saturating_sub(before)
    }

    /// What is known of the log, all of one moment.
    pub(crate) fn continuity(&self) -> Continuity {
        self.read().continuity.clone()
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
    pub fn evict_to_weight(&self) {
        if self.is_over_bytes() {
            self.bound(&mut self.write());
        }
    }

    /// The topics of frames with these offsets that have left the window; `None` where that is not
    /// known of all of them. For a shard that the window has overrun. Holds the lock for a few
    /// hundred reference counts.
    pub fn dropped(&self, offsets: Range<u64>) -> Option<DroppedTopics> {
        let dropped = self.read().dropped.topics(offsets);
        let counter = if dropped.is_some() { &self.overruns } else { &self.unknown_overruns };
        counter.fetch_add(1, Ordering::Relaxed);
        dropped
    }

    /// How often a shard has asked what the window dropped before it came to it: where that was
    /// known, and only those concerned read the log; and where it was not, and everyone did.
    pub fn overruns(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.overruns), count(&self.unknown_overruns))
    }

    fn is_over_bytes(&self) -> bool {
        self.ledger.bytes() > self.bounds.bytes && self.ledger.frames() > 1
    }

    fn bound(&self, state: &mut WindowState) {
        while state.ring.len() > self.bounds.count || self.is_over_bytes() {
            state.drop_oldest();
        }
    }

    /// The topics that most has been published to since counting began, lately above all, busiest
    /// first; if they are not counted yet, they are from now on. To be called about once a second, by
    /// one caller: counts fade from call to call.
    pub(crate) fn busiest(&self, now: Timestamp, limit: usize) -> Vec<BusyTopic> {
        self.start_counting_topics();
        self.busiest.lock().unwrap_or_else(PoisonError::into_inner).rank(now, limit)
    }

    /// Somebody looks at the busiest topics from now on: they are counted.
    pub(crate) fn start_counting_topics(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Nobody looks at the busiest topics any more: they are not counted until someone does.
    pub(crate) fn stop_counting_topics(&self) {
        if self.watched.swap(false, Ordering::Relaxed) {
            *self.busiest.lock().unwrap_or_else(PoisonError::into_inner) = Busiest::default();
        }
    }

    fn notify_all(&self, mut tell: impl FnMut(&dyn Notify, &News)) {
        // To be told may be a system call: no lock is held.
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone();
        let news = std::mem::take(&mut *self.news());
        listeners.iter().for_each(|listener| tell(&**listener, &news));
    }

    // A panic while the lock was held cannot leave a half-made ring: each change is one push, pop
    // or clear. So poisoning is not an error here.
    fn read(&self) -> RwLockReadGuard<'_, WindowState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, WindowState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WindowState {
    /// Lets go of what the log no longer retains.
    fn drop_trimmed(&mut self) {
        let through = self.continuity.trimmed();
        while self.ring.from(0).next().is_some_and(|slot| slot.frame.position() <= through) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let offset = self.ring.base();
        if let Some(slot) = self.ring.pop() {
            let event = slot.frame.event();
            let others = event.map_or(&[][..], Event::others);
            self.dropped.note(offset, event.map(|event| &event.topic), others);
        }
    }
}

impl Tail for Window {
    fn begin(&self, lineage: &Lineage, at: Position) {
        let mut state = self.write();
        let last = state.continuity.last();
        let first = !state.continuity.has_begun();
        if let Some(gap) = state.continuity.begin(lineage, at) {
            state.ring.restart(at, last);
            state.ring.push(Slot::new(Frame::of_gap(gap).counted_in(&self.ledger)));
        } else if first {
            // Nobody has been told anything yet.
            state.ring.restart(at, at);
        }
        drop(state);
        self.news().concern_everyone();
    }

    fn append(&self, events: &[Arc<Event>]) {
        // Encoding waits for the first subscriber, hashing need not hold the lock.
        let frame = |event: &Arc<Event>| Frame::new(Arc::clone(event)).counted_in(&self.ledger);
        let slots: Vec<Slot> = events.iter().map(frame).map(Slot::new).collect();
        if self.watched.load(Ordering::Relaxed) {
            let mut busiest = self.busiest.lock().unwrap_or_else(PoisonError::into_inner);
            for (slot, event) in slots.iter().zip(events) {
                match slot.concern {
                    Concern::Topic(key) => busiest.count(key, &event.topic),
                    Concern::Everyone | Concern::Special => {
                        event.topics().for_each(|topic| busiest.count(TopicKey::of(topic), topic));
                    }
                }
            }
        }
        let mut news = News::default();
        slots.iter().for_each(|slot| news.add(slot));
        let mut guard = self.write();
        let state = &mut *guard;
        for (slot, event) in slots.into_iter().zip(events) {
            state.milestones.pass(state.ring.end(), event, &self.retention);
            state.continuity.advance(event.position);
            state.ring.push(slot);
        }
        self.bound(state);
        drop(guard);
        // Only now: whoever is told of it finds it.
        self.news().join(news);
    }

    fn trim(&self, through: Position) {
        let mut state = self.write();
        state.continuity.trim(through);
        state.drop_trimmed();
    }

    fn wake(&self) {
        self.notify_all(|listener, news| listener.notify(news));
    }

    fn wake_from_publisher(&self) {
        let mut delivered = false;
        self.notify_all(|listener, news| {
            if delivered {
                listener.notify(news);
            } else {
                delivered = listener.notify_from_publisher(news);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug, Default)]
    struct Listener(AtomicBool);

    impl Notify for Listener {
        fn notify(&self, _: &News) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_who_listen_are_told_of_news() {
        let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
        let window = Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention);
        let listeners = [Arc::<Listener>::default(), Arc::default(), Arc::default()];
        // One delivery listens with its shards, then another does.
        for shards in [&listeners[..2], &listeners[2..]] {
            window.listen(shards.iter().map(|it| Arc::clone(it) as Arc<dyn Notify>).collect());
        }
        let told = || listeners.iter().filter(|it| it.0.load(Ordering::Relaxed)).count();
        assert_eq!(told(), 0);
        window.wake();
        assert_eq!(told(), 3);
    }

    #[test]
    fn an_overrun_is_counted() {
        let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
        let window = Window::new(WindowBounds { count: 2, bytes: 1 << 20 }, retention);
        window.begin(&Lineage::root(1), Position::new(1, 0));
        let event = |seq| {
            Arc::new(Event {
                position: Position::new(1, seq),
                topic: fanfare_event::Topic::default(),
                event_type: None,
                published_at: Timestamp(0),
                message: "".into(),
                extras: None,
            })
        };
        window.append(&(1..=5).map(event).collect::<Vec<_>>());
        assert!(window.dropped(0..3).is_some());
        assert_eq!(window.overruns(), (1, 0));
        assert!(window.dropped(0..4).is_none(), "the fourth is still there");
        assert_eq!(window.overruns(), (1, 1));
    }
}
