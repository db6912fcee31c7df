//! The heartbeat: a sign of life for every subscriber, and a fresh id for those that need one.
//!
//! No timer per subscriber: a walk over the roster sees to each entry once in a heartbeat, a few at
//! a step.

use std::time::{Duration, Instant};

use fanfare_event::Position;
use fanfare_hub::fresh_cursor;
use mio::Token;

use super::Shard;
use crate::subscriber::{Cursor, Subscriber};

/// How many steps the walk takes for one pass over the roster.
const STEPS: u32 = 64;
/// How often it steps at least, and at most.
const STEP: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// A subscriber that joined less than this part of a heartbeat ago is left for the next pass.
const NEWCOMER: u32 = 8;
/// How many entries one step looks at for stale ids.
const REFRESHED_A_STEP: usize = 512;

/// How far the walk has got.
#[derive(Debug)]
pub(super) struct Walk {
    heartbeat: Duration,
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

impl Walk {
    pub(super) fn new(heartbeat: Duration, now: Instant) -> Self {
        let (began, length) = (now, heartbeat);
        Self { heartbeat, began, length, entry: 0, stale_before: 0, refreshing: None }
    }

    /// When the next step is due.
    pub(super) fn patience(&self) -> Duration {
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
    fn due(&mut self, entries: usize, now: Instant) -> std::ops::Range<usize> {
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
    fn due_for_refresh(&mut self, entries: usize) -> std::ops::Range<usize> {
        let Some(first) = self.refreshing else { return 0..0 };
        let end = entries.min(first + REFRESHED_A_STEP);
        self.refreshing = (end < entries).then_some(end);
        first..end
    }

    fn is_newcomer(&self, subscriber: &Subscriber, now: Instant) -> bool {
        now - subscriber.joined < self.heartbeat / NEWCOMER
    }

    fn is_stale(&self, refreshed: u64) -> bool {
        refreshed < self.stale_before
    }
}

impl Shard {
    /// Sees to the entries that are due.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        for entry in self.walk.due_for_refresh(self.roster.entries()) {
            if let Some((token, _)) = self.roster.at(entry) {
                self.refresh(token, now);
            }
        }
        for entry in self.walk.due(self.roster.entries(), now) {
            if let Some((token, _)) = self.roster.at(entry) {
                self.beat(token, now);
            }
        }
    }

    /// One subscriber's heartbeat: a comment; and for one that holds no id, or an old one, a
    /// fresh id too, so that it can resume.
    fn beat(&mut self, token: Token, now: Instant) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        let newcomer = self.walk.is_newcomer(subscriber, now);
        if newcomer || subscriber.is_closing() || subscriber.blocked || !subscriber.is_clear() {
            return;
        }
        let framing = subscriber.framing();
        let stale = subscriber.refreshed.is_none_or(|offset| self.walk.is_stale(offset));
        let mut bytes = framing.bytes(&self.keepalive);
        if stale && subscriber.cursor == Cursor::Live && self.position > Position::ORIGIN {
            subscriber.refreshed = Some(self.offset);
            self.totals.fresh_cursors += 1;
            let cursor = fresh_cursor(self.position);
            bytes = [&bytes[..], framing.slice(&cursor)].concat().into();
        }
        self.totals.keepalives += 1;
        let turned = subscriber.send_aside(bytes, now, &mut self.totals);
        self.settle(token, turned, now);
    }

    /// A fresh id for a subscriber whose last has become stale.
    fn refresh(&mut self, token: Token, now: Instant) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        let stale = subscriber.refreshed.is_some_and(|offset| self.walk.is_stale(offset));
        let ready =
            subscriber.cursor == Cursor::Live && subscriber.is_clear() && !subscriber.is_closing();
        if stale && ready {
            subscriber.refreshed = Some(self.offset);
            self.totals.fresh_cursors += 1;
            let bytes = subscriber.framing().bytes(&fresh_cursor(self.position));
            let turned = subscriber.send_aside(bytes, now, &mut self.totals);
            self.settle(token, turned, now);
        }
    }
}
