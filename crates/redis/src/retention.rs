//! Retention: keeping the stream within its count, bytes and age.
//!
//! Count is enforced by every publish (`MAXLEN ~`). Bytes become a count: the stream's measured
//! size (`MEMORY USAGE`) over its length. Age is enforced exactly (`MINID =`), because an
//! approximate trim never takes the last hundred entries of a quiet namespace.

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

/// How many ids one call forgets at most: some ten milliseconds of Redis.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// What the publishing task does for the stream every few seconds.
pub(crate) struct Upkeep {
    retention: Retention,
    max_entries: u64,
    /// The last position when the size was measured.
    measured_at: Position,
    /// Entries went, or ids were left, after ids were last forgotten.
    trimmed: bool,
    due: Instant,
}

impl Upkeep {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            retention,
            max_entries: retention.count,
            measured_at: Position::ORIGIN,
            trimmed: false,
            due: Instant::now(),
        }
    }

    /// The most entries the stream may keep, by count and by bytes.
    pub(crate) fn max_entries(&self) -> u64 {
        self.max_entries
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
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
            commands.cmd("MEMORY").arg("USAGE").arg(events);
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
            if let (Some(Value::Int(size)), Some(Value::Int(length))) =
                (answers.next(), answers.next())
            {
                self.max_entries = max_entries(&self.retention, size, length);
                view.measured(size, length);
                excess = u64::try_from(length).is_ok_and(|length| length > self.max_entries);
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
            link.request(&trim).await?;
        }
        let hurry = more || refused.is_some();
        self.due = Instant::now() + if hurry { SHORT_INTERVAL } else { INTERVAL };
        health.refusing(refused);
        Ok(())
    }
}

/// How many entries of the average size measured fit into the bytes allowed, at most the count.
fn max_entries(retention: &Retention, size: i64, length: i64) -> u64 {
    match (u128::try_from(size), u128::try_from(length)) {
        (Ok(size @ 1..), Ok(length @ 1..)) => {
            let fitting = u128::from(retention.bytes) * length / size;
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
        assert_eq!(max_entries(&retention, 2_000, 100), 500);
        assert_eq!(max_entries(&retention, 100, 100), 1000);
        assert_eq!(max_entries(&retention, i64::MAX, 1), 1);
        assert_eq!(max_entries(&retention, 0, 0), 1000);
    }
}
