//! The heartbeat's walk over the subscriber table: each entry once in a heartbeat, a few at a step, so
//! that there is no timer per subscriber. One whose interval has grown is passed over in between.

use std::time::{Duration, Instant};

use crate::heartbeat_interval::LongestInterval;
use crate::now::Now;
use crate::subscriber::Subscriber;

/// How many steps the walk takes for one pass over the table.
const STEPS: u32 = 64;
/// How often it steps at least, and at most.
const STEP: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// A subscriber that joined less than this part of a heartbeat ago is left for the next pass.
const NEWCOMER: u32 = 8;
/// How many entries one step looks at for stale ids.
const REFRESHED_A_STEP: usize = 512;

/// How far the walk has got.
#[derive(Debug)]
pub(super) struct HeartbeatWalk {
    heartbeat: Duration,
    longest: LongestInterval,
    began: Instant,
    /// How long this pass takes.
    length: Duration,
    /// The next entry to look at.
    entry: usize,
    /// Before which offset ids were last seen to be stale.
    stale_before: u64,
    /// The next entry to look at for a stale id, while some are looked for.
    refreshing: Option<usize>,
}

impl HeartbeatWalk {
    pub(super) fn new(heartbeat: Duration, longest: Duration, now: Instant) -> Self {
        let (began, length) = (now, heartbeat);
        let longest = LongestInterval::of(heartbeat, longest);
        Self { heartbeat, longest, began, length, entry: 0, stale_before: 0, refreshing: None }
    }

    /// How long until the next step.
    pub(super) fn next_step(&self) -> Duration {
        if self.refreshing.is_some() {
            STEP.0
        } else {
            (self.heartbeat / STEPS).clamp(STEP.0, STEP.1)
        }
    }

    /// Ids from before `offset` have become stale. A pass to replace them begins at most sixteen
    /// times while the log turns over once.
    pub(super) fn refresh(&mut self, offset: u64) {
        if offset > self.stale_before {
            self.stale_before = offset;
            self.refreshing = Some(0);
        }
    }

    /// Which of so many entries are due by now.
    pub(super) fn due(&mut self, entries: usize, now: Instant) -> std::ops::Range<usize> {
        let passed = (now - self.began).as_secs_f64() / self.length.as_secs_f64();
        let end = (entries as f64 * passed.min(1.0)) as usize;
        let due = self.entry..end;
        self.entry = self.entry.max(end);
        if passed >= 1.0 {
            // Shards and hubs that began together do not stay in step.
            self.length = self.heartbeat.mul_f64(0.8 + 0.2 * fastrand::f64());
            self.began = now;
            self.entry = 0;
        }
        due
    }

    /// Which of so many entries are looked at for a stale id this time.
    pub(super) fn due_for_refresh(&mut self, entries: usize) -> std::ops::Range<usize> {
        let Some(first) = self.refreshing else { return 0..0 };
        let end = entries.min(first + REFRESHED_A_STEP);
        self.refreshing = (end < entries).then_some(end);
        first..end
    }

    pub(super) fn is_newcomer(&self, subscriber: &Subscriber, now: Now) -> bool {
        now.since(subscriber.joined).is_some_and(|since| since < self.heartbeat / NEWCOMER)
    }

    /// How far a subscriber's interval may grow.
    pub(super) fn longest(&self) -> LongestInterval {
        self.longest
    }

    pub(super) fn is_stale(&self, held_id: u64) -> bool {
        held_id < self.stale_before
    }
}
