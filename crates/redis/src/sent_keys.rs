//! The idempotency keys that this node has sent within their window: what they take up in Redis is bounded and
//! shared out here. What they were answered, only Redis knows.
//!
//! What must hold: a key counts for as long as Redis may have it, and no longer: of what was refused, Redis has none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_event::Position;
use fanfare_log::{
    AppendError, Appended, Environment, IdempotencyKey, IdempotencyState, IdempotencyTable,
    MonotonicClock, TableFull,
};

use crate::settings::RedisSettings;

/// The keys that this node has sent, each counted for its publisher.
pub(crate) struct SentKeys {
    table: Mutex<IdempotencyTable>,
    clock: MonotonicClock,
}

/// A key that is being sent.
pub(crate) struct CountedKey {
    keys: Arc<SentKeys>,
    key: IdempotencyKey,
    /// It was not sent before.
    is_new: bool,
    is_settled: AtomicBool,
}

impl SentKeys {
    /// None yet, or those that another process has sent.
    pub(crate) fn new(
        settings: &RedisSettings,
        environment: Arc<dyn Environment>,
        state: Option<IdempotencyState>,
    ) -> Self {
        let (window, capacity) = (settings.idempotency_window, settings.idempotency_keys);
        let (table, clock) = match state {
            Some(state) => {
                let clock = MonotonicClock::from(state.latest(), environment);
                (IdempotencyTable::resumed(state, window, capacity), clock)
            }
            None => (IdempotencyTable::new(window, capacity), MonotonicClock::new(environment)),
        };
        Self { table: Mutex::new(table), clock }
    }

    /// All of them.
    pub(crate) fn state(&self) -> IdempotencyState {
        self.table().state(self.clock.now())
    }

    /// Counts a key that is to be sent, once for its window.
    pub(crate) fn count(self: &Arc<Self>, key: IdempotencyKey) -> Result<CountedKey, TableFull> {
        let is_new = {
            let (mut table, now) = (self.table(), self.clock.now());
            table.expire(now);
            let before = table.len();
            table.insert(&key, Position::ORIGIN, 0, now)?;
            table.len() > before
        };
        Ok(CountedKey { keys: Arc::clone(self), key, is_new, is_settled: AtomicBool::new(false) })
    }

    fn table(&self) -> MutexGuard<'_, IdempotencyTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CountedKey {
    /// Counts it no longer where Redis does not have it, by what was answered first.
    pub(crate) fn settle(&self, answer: &Result<Appended, AppendError>) {
        if self.is_settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut table = self.keys.table();
        match answer {
            Err(AppendError::Unavailable { .. } | AppendError::Full { .. }) if self.is_new => {
                table.revoke(&self.key);
            }
            // Where the same key was sent twice at once, the other may have been refused.
            Ok(_) | Err(AppendError::OutcomeUnknown { .. }) if !self.is_new => {
                let now = self.keys.clock.now();
                let _ = table.insert(&self.key, Position::ORIGIN, 0, now);
            }
            _ => {}
        }
    }
}
