//! Runs: what was read of the stream just now, for others who want something of the same stretch.
//!
//! What must hold: a run is raw. What someone wants of it, and whether anything is missing between two of its
//! entries, is judged when it is used, by what this node knows then. It is used for a moment only, and never
//! after another epoch has begun or something was found out about the past.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_event::Position;
use fanfare_log::Lineage;
use tokio::time::Instant;

use crate::entry::StreamEntry;

/// How many are kept, each of at most one page.
const RUNS: usize = 4;
/// For how long: what is trimmed meanwhile is given out no later than that.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// The latest runs, oldest first.
#[derive(Default)]
pub(crate) struct CachedRuns(Mutex<VecDeque<CachedRun>>);

/// The entries after a position, none left out.
struct CachedRun {
    lineage: Arc<Lineage>,
    after: Position,
    entries: Vec<StreamEntry>,
    read: Instant,
}

impl CachedRuns {
    /// The first entries after `start`, none beyond `until`, as far as they were read just now; `None` where none
    /// was of which someone could go on.
    pub(crate) fn find(
        &self,
        start: Position,
        until: Position,
        lineage: &Arc<Lineage>,
        now: Instant,
    ) -> Option<Vec<StreamEntry>> {
        let mut runs = self.lock();
        runs.retain(|run| run.is_good(lineage, now));
        runs.iter().rev().find_map(|run| run.find(start, until))
    }

    /// These came after `after`.
    pub(crate) fn keep(
        &self,
        after: Position,
        entries: &[StreamEntry],
        lineage: &Arc<Lineage>,
        now: Instant,
    ) {
        let (lineage, entries) = (Arc::clone(lineage), entries.to_vec());
        let run = CachedRun { lineage, after, entries, read: now };
        let mut runs = self.lock();
        runs.push_back(run);
        if runs.len() > RUNS {
            runs.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<CachedRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedRun {
    fn is_good(&self, lineage: &Arc<Lineage>, now: Instant) -> bool {
        Arc::ptr_eq(&self.lineage, lineage) && now - self.read < KEPT_FOR
    }

    fn find(&self, start: Position, until: Position) -> Option<Vec<StreamEntry>> {
        if start < self.after {
            return None;
        }
        let begin = self.entries.partition_point(|entry| entry.position() <= start);
        let end = self.entries.partition_point(|entry| entry.position() <= until);
        let entries = self.entries.get(begin..end)?;
        let named = entries.iter().any(|entry| self.lineage.names(entry.position().epoch));
        named.then(|| entries.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Position {
        Position::new(7, seq)
    }

    fn seqs(entries: Option<Vec<StreamEntry>>) -> Option<Vec<u64>> {
        entries.map(|entries| entries.iter().map(|entry| entry.position().seq).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_used_only_where_it_reaches_and_holds() {
        let (runs, lineage) = (CachedRuns::default(), Arc::new(Lineage::root(7)));
        let entries: Vec<_> = (3..=6).map(at).map(StreamEntry::Foreign).collect();
        runs.keep(at(2), &entries, &lineage, Instant::now());
        let find = |start, until| seqs(runs.find(at(start), at(until), &lineage, Instant::now()));
        assert_eq!(find(2, 9), Some(vec![3, 4, 5, 6]));
        assert_eq!(find(4, 5), Some(vec![5]));
        assert_eq!((find(1, 9), find(6, 9), find(4, 4)), (None, None, None));
        tokio::time::advance(KEPT_FOR).await;
        assert_eq!(find(2, 9), None, "it is old");
        runs.keep(at(2), &entries, &lineage, Instant::now());
        let later = Arc::new(Lineage::root(7));
        let found = runs.find(at(2), at(9), &later, Instant::now());
        assert_eq!(seqs(found), None, "the past has changed");
    }
}
