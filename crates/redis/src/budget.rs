//! The budget: how much may wait for Redis at once.

use std::sync::{Arc, Mutex, PoisonError};

/// How much may wait at once.
pub(crate) struct Budget {
    used: Mutex<Used>,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Used {
    batches: usize,
    bytes: usize,
}

/// A part of the budget, given back when dropped.
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(max_batches: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { used: Mutex::default(), max_batches, max_bytes })
    }

    /// Whether nothing waits.
    pub(crate) fn is_unused(&self) -> bool {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).batches == 0
    }

    /// Reserves room for one batch, if there is so much left. Any batch gets in when the budget is unused.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            used.batches < self.max_batches && used.bytes.saturating_add(bytes) <= self.max_bytes;
        if !fits && used.batches > 0 {
            return None;
        }
        used.batches += 1;
        used.bytes += bytes;
        Some(Reservation { budget: self.clone(), bytes })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.batches -= 1;
        used.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_bounded_and_given_back() {
        let budget = Budget::new(2, 10);
        let big = budget.reserve(50).unwrap();
        assert!(budget.reserve(1).is_none());
        drop(big);
        let (one, two) = (budget.reserve(6).unwrap(), budget.reserve(4).unwrap());
        assert!(budget.reserve(0).is_none(), "two batches at most");
        drop(two);
        assert!(budget.reserve(5).is_none(), "ten bytes at most");
        drop(one);
        assert!(budget.reserve(10).is_some());
    }
}
