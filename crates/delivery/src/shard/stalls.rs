//! Stalls: which subscribers are blocked, and when they will have been so for too long.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The blocked subscribers by deadline. One that takes some bytes keeps its place; only when its
/// deadline comes is it asked when that was.
#[derive(Debug)]
pub(crate) struct Stalls {
    timeout: Duration,
    deadlines: BTreeSet<(Instant, mio::Token)>,
}

impl Stalls {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, deadlines: BTreeSet::new() }
    }

    /// A subscriber took its last byte at `progressed` and is blocked since.
    pub(crate) fn insert(&mut self, token: mio::Token, progressed: Instant) {
        self.deadlines.insert((progressed + self.timeout, token));
    }

    /// The next subscriber whose deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<mio::Token> {
        let (deadline, _) = self.deadlines.first()?;
        if *deadline > now {
            return None;
        }
        self.deadlines.pop_first().map(|(_, token)| token)
    }

    /// Whether someone who took a byte at `progressed` has now been blocked for too long.
    pub(crate) fn is_over(&self, progressed: Instant, now: Instant) -> bool {
        progressed + self.timeout <= now
    }

    /// Everyone who is, or was a moment ago, blocked.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = mio::Token> {
        self.deadlines.iter().map(|(_, token)| *token)
    }
}
