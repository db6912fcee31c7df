//! Cuts: whose streams have lately been ended by an administrator.
//!
//! A subscriber may have been granted its stream and not have joined yet when its subject is cut.
//! What must hold: a cut ends every stream whose credentials were verified before it. One that is
//! forgotten is remembered as a moment: whoever was verified before that, whoever it is, has to be
//! verified anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::counters::CloseReason;
use crate::cut::Cut;

/// The latest cuts: of each subject the last.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    subjects: HashMap<Arc<str>, Instant>,
    /// When the last of the cuts was said that were forgotten, or may have been missed.
    forgotten: Option<Instant>,
}

/// How long a cut is remembered by its subject; hardly a stream is on its way to its shard for
/// longer.
const ON_THE_WAY: Duration = Duration::from_secs(30);
/// How many subjects are remembered.
const CAPACITY: usize = 4096;

impl Cuts {
    /// One said elsewhere may come late.
    pub(crate) fn insert(&mut self, cut: &Cut, now: Instant) {
        if let Some(at) = self.subjects.get_mut(&cut.subject) {
            *at = cut.at.max(*at);
            return;
        }
        if self.subjects.len() >= CAPACITY {
            self.forget(now);
        }
        self.subjects.insert(Arc::clone(&cut.subject), cut.at);
    }

    /// Cuts may have been missed until then: whoever was verified before is to be verified anew.
    pub(crate) fn reverify(&mut self, until: Instant) {
        self.forgotten = self.forgotten.max(Some(until));
    }

    /// Why a stream of `subject`, verified at `verified`, may not begin, if so.
    pub(crate) fn hit(&self, subject: &str, verified: Instant) -> Option<CloseReason> {
        if self.subjects.get(subject).is_some_and(|at| *at >= verified) {
            Some(CloseReason::Revoked)
        } else if self.forgotten.is_some_and(|at| at >= verified) {
            Some(CloseReason::Reverify)
        } else {
            None
        }
    }

    /// Forgets what is old; where that leaves too many, the older half.
    fn forget(&mut self, now: Instant) {
        let mut said: Vec<_> = self.subjects.values().copied().collect();
        let (_, middle, _) = said.select_nth_unstable(CAPACITY / 2);
        let old = now.checked_sub(ON_THE_WAY).map_or(*middle, |old| old.max(*middle));
        self.subjects.retain(|_, at| *at > old);
        let last = said.into_iter().filter(|at| *at <= old).max();
        self.forgotten = self.forgotten.max(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(subject: &str, at: Instant) -> Cut {
        Cut { subject: subject.into(), at }
    }

    #[test]
    fn a_cut_hits_a_stream_on_its_way_and_no_later_one() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut cuts = Cuts::default();
        cuts.insert(&cut("bob", at(11)), at(11));
        cuts.insert(&cut("ada", at(10)), at(12));
        cuts.insert(&cut("ada", at(8)), at(12));
        assert_eq!(cuts.hit("ada", at(9)), Some(CloseReason::Revoked));
        assert_eq!(cuts.hit("ada", at(11)), None, "it was verified anew");
        assert_eq!(cuts.hit("eve", at(9)), None);
    }

    #[test]
    fn a_cut_that_is_one_of_too_many_has_everyone_verified_anew() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut cuts = Cuts::default();
        let many = 3 * CAPACITY as u64;
        for n in 0..many {
            cuts.insert(&cut(&n.to_string(), at(n)), at(n));
            assert!(cuts.subjects.len() <= CAPACITY);
        }
        for n in 0..many {
            let subject = n.to_string();
            assert!(cuts.hit(&subject, at(n)).is_some(), "{n} escapes");
            assert!(cuts.hit(&subject, at(n + 1)) != Some(CloseReason::Revoked), "{n} is hit");
        }
        assert_eq!(cuts.hit("eve", at(0)), Some(CloseReason::Reverify));
        assert_eq!(cuts.hit("eve", at(many)), None);
    }
}
