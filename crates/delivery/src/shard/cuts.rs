//! Cuts: whose streams have lately been ended by an administrator.
//!
//! A subscriber may have been granted its stream and not have joined yet when its subject is cut.
//! What must hold: a cut ends every stream whose credentials were verified before it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cut::Cut;

/// The latest cuts, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Cuts(VecDeque<(Instant, Arc<str>)>);

/// How long a granted stream may be on its way to its shard.
const WAY: Duration = Duration::from_secs(30);
/// How many cuts are remembered.
const CAPACITY: usize = 4096;

impl Cuts {
    /// One said elsewhere may come late.
    pub(crate) fn insert(&mut self, cut: &Cut, now: Instant) {
        while self.0.front().is_some_and(|(at, _)| now - *at > WAY) || self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        let place = self.0.partition_point(|(at, _)| *at <= cut.at);
        self.0.insert(place, (cut.at, Arc::clone(&cut.subject)));
    }

    /// Whether a cut of `subject` came after `verified`.
    pub(crate) fn hit(&self, subject: &str, verified: Instant) -> bool {
        let later = self.0.iter().rev().take_while(|(at, _)| *at >= verified);
        later.into_iter().any(|(_, cut)| &**cut == subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_on_its_way_escapes_or_a_later_one_is_hit() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut cuts = Cuts::default();
        let mut insert = |subject: &str, seconds, now| {
            cuts.insert(&Cut { subject: subject.into(), at: at(seconds) }, at(now));
        };
        insert("bob", 11, 11);
        insert("ada", 10, 12);
        assert!(cuts.hit("ada", at(9)));
        assert!(!cuts.hit("ada", at(11)), "it was verified anew");
        assert!(!cuts.hit("eve", at(9)));
        cuts.insert(&Cut { subject: "eve".into(), at: at(60) }, at(60));
        assert_eq!(cuts.0.len(), 1, "old cuts are forgotten");
    }
}
