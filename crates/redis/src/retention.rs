//! Retention: keeping the stream within its count, bytes and age.
//!
//! Count is enforced by every publish (`MAXLEN ~`). Bytes become a count: the stream's measured
//! size (`MEMORY USAGE`) over its length. Age is enforced exactly (`MINID =`), because an
//! approximate trim never takes the last hundred entries of a quiet namespace.
//!
//! What must hold: a measure is good for so many events, not for so much time. What large messages weighed trims no
//! small ones that came after them.

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::Position;
use fanfare_log::Retention;
use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::error::RedisRequestError;
use crate::health::Health;
use crate::link::Link;
use crate::view::View;

/// How often the stream is looked after, and an idle publish connection is tried.
const INTERVAL: Duration = Duration::from_secs(5);
/// The same while Redis refuses writes, or there is more to expire or forget.
const SHORT_INTERVAL: Duration = Duration::from_secs(1);
/// The same while what was measured is outgrown. A look takes a round trip, in which nothing is published.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// Fewer events than this never outgrow a measure.
const FEW: u64 = 64;
/// How many blocks of the stream, from the oldest on, are measured; the rest is taken to be like them. About a
/// millisecond of Redis. By a few alone, one large message would count as many.
const MEASURED_BLOCKS: usize = 10_000;

/// How many ids one call forgets at most: some ten milliseconds of Redis.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// What the publishing task does for the stream every few seconds.
pub(crate) struct Upkeep {
    retention: Retention,
    max_entries: u64,
    /// The last position when the size was measured, and how many entries there were.
    measured_at: Position,
    length: u64,
    /// Entries went, or ids were left, after ids were last forgotten.
    trimmed: bool,
    due: Instant,
    last_run: Instant,
}

impl Upkeep {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            retention,
            max_entries: retention.count,
            measured_at: Position::ORIGIN,
            length: 0,
            trimmed: false,
            due: Instant::now(),
            last_run: Instant::now(),
        }
    }

    /// The most entries the stream may keep, by count and by bytes.
    pub(crate) fn max_entries(&self) -> u64 {
        self.max_entries
    }

    /// When the stream is to be looked after, where events up to `heard` have come.
    pub(crate) fn due(&self, heard: Position) -> Instant {
        if self.is_outgrown(heard) {
            self.due.min(self.last_run + SHORTEST_INTERVAL)
        } else {
            self.due
        }
    }

    /// Whether more has come since the stream was measured than a quarter of what there was.
    fn is_outgrown(&self, heard: Position) -> bool {
        let new = heard.seq.saturating_sub(self.measured_at.seq);
        heard.epoch != self.measured_at.epoch || new > FEW.max(self.length / 4)
    }

    /// Redis refuses writes: look again soon.
    pub(crate) fn retry_soon(&mut self) {
        self.due = self.due.min(Instant::now() + SHORT_INTERVAL);
    }

    /// Asks whether writes are accepted, measures, expires: one round trip, or a second to trim.
    pub(crate) async fn run(
        &mut self,
        link: &mut Link,
        view: &View,
        health: &Health,
    ) -> Result<(), RedisRequestError> {
        let seen = view.seen();
        // By Redis's clock, which dates events: a node's own may be wrong by any amount.
        let age = u64::try_from(self.retention.age.as_millis()).unwrap_or(u64::MAX);
        let measures = seen.heard != self.measured_at;

        let mut commands = Pipeline::with_capacity(5);
        let events = &*link.keys.events;
        let probe = commands.cmd("EVALSHA").arg(&link.scripts.publish).arg(2).arg(events);
        probe.arg(&*link.keys.lineage).arg(0).arg(0).arg(self.max_entries).arg(1);
        if measures {
            let usage = commands.cmd("MEMORY").arg("USAGE").arg(events);
            usage.arg("SAMPLES").arg(MEASURED_BLOCKS);
            commands.cmd("XLEN").arg(events);
        }
        let expire = commands.cmd("EVALSHA").arg(&link.scripts.expire).arg(1).arg(events);
        expire.arg(age);
        // Where nothing came and nothing went, no id is to be forgotten.
        let forgets = measures || self.trimmed;
        if forgets {
            let forget = commands.cmd("EVALSHA").arg(&link.scripts.forget_ids).arg(3).arg(events);
            forget.arg(&*link.keys.ids).arg(&*link.keys.id_order).arg(FORGOTTEN_AT_ONCE);
        }
        let count = 2 + 2 * usize::from(measures) + usize::from(forgets);
        let mut answers = link.pipeline(&commands, count).await?.into_iter();
        let refused = match answers.next() {
            Some(Value::ServerError(error)) => Some(Arc::new(RedisRequestError::Refused(error))),
            _ => None,
        };
        let mut excess = false;
        if measures {
            self.measured_at = seen.heard;
            let (size, length) = (answers.next(), answers.next());
            if let Some(Value::Int(length)) = length {
                self.length = u64::try_from(length).unwrap_or(0);
                // Not every user may ask how large the stream is.
                if let Some(Value::Int(size)) = size {
                    self.max_entries = max_entries(&self.retention, size, length);
                    view.measured(size, length);
                    excess = self.length > self.max_entries;
                }
            }
        }
        let expired = matches!(answers.next(), Some(Value::Int(1..)));
        let forgotten = if forgets { answers.next() } else { None };
        let more = expired || forgotten == Some(Value::Int(FORGOTTEN_AT_ONCE));
        self.trimmed = more || excess;
        if excess {
            // The publishes that led to it knew of a smaller size.
            let mut trim = redis::cmd("XTRIM");
            trim.arg(&*link.keys.events).arg("MAXLEN").arg("~").arg(self.max_entries);
            let gone = match link.request(&trim).await? {
                Value::Int(gone) => u64::try_from(gone).unwrap_or(0),
                _ => 0,
            };
            if gone > self.length / 8 {
                // What is left may weigh otherwise: it is measured again.
                self.measured_at = Position::ORIGIN;
            }
        }
        let hurry = more || refused.is_some();
        self.last_run = Instant::now();
        self.due = self.last_run + if hurry { SHORT_INTERVAL } else { INTERVAL };
        health.refusing(refused);
        Ok(())
    }
}

/// How many entries of the average size measured fit into the bytes allowed, at most the count. As long as there is
/// room for as much again, what there is says nothing of what comes.
fn max_entries(retention: &Retention, size: i64, length: i64) -> u64 {
    let bytes = u128::from(retention.bytes);
    match (u128::try_from(size), u128::try_from(length)) {
        (Ok(size), Ok(length @ 1..)) if 2 * size > bytes => {
            let fitting = bytes * length / size.max(1);
            u64::try_from(fitting).unwrap_or(u64::MAX).clamp(1, retention.count.max(1))
        }
        _ => retention.count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_a_count_never_above_the_one_allowed() {
        let retention = Retention { count: 1000, bytes: 10_000, age: Duration::MAX };
        assert_eq!(max_entries(&retention, 8_000, 400), 500);
        assert_eq!(max_entries(&retention, 8_000, 900), 1000);
        assert_eq!(max_entries(&retention, i64::MAX, 1), 1);
        assert_eq!(max_entries(&retention, 0, 0), 1000);
        assert_eq!(max_entries(&retention, 5_000, 2), 1000, "there is room for as much again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_measure_is_good_for_so_many_events() {
        let retention = Retention { count: 1000, bytes: 10_000, age: Duration::MAX };
        let mut upkeep = Upkeep::new(retention);
        upkeep.due = Instant::now() + INTERVAL;
        (upkeep.measured_at, upkeep.length) = (Position::new(7, 100), 800);
        let soon = upkeep.last_run + SHORTEST_INTERVAL;
        assert_eq!(upkeep.due(Position::new(7, 300)), upkeep.due);
        assert_eq!(upkeep.due(Position::new(7, 301)), soon);
        assert_eq!(upkeep.due(Position::new(8, 0)), soon);
        upkeep.length = 2;
        assert_eq!(upkeep.due(Position::new(7, 164)), upkeep.due);
        assert_eq!(upkeep.due(Position::new(7, 165)), soon);
    }
}
