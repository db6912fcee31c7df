//! Stalls: which subscribers are blocked, and when they will have been so for too long.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::arrears::Pace;

/// The blocked subscribers by deadline. One that takes some bytes keeps its place; only when its
/// deadline comes is it asked when that was, and how many there were.
#[derive(Debug)]
pub(crate) struct Stalls {
    pace: Pace,
    deadlines: BTreeSet<(Instant, mio::Token)>,
}

impl Stalls {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, deadlines: BTreeSet::new() }
    }

    /// How much a blocked subscriber has to take.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// A subscriber is blocked, and to be judged at `deadline`.
    pub(crate) fn insert(&mut self, token: mio::Token, deadline: Instant) {
        self.deadlines.insert((deadline, token));
    }

    /// The next subscriber whose deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<mio::Token> {
        let (deadline, _) = self.deadlines.first()?;
        if *deadline > now {
            return None;
        }
        self.deadlines.pop_first().map(|(_, token)| token)
    }

    /// Everyone who is, or was a moment ago, blocked.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = mio::Token> {
        self.deadlines.iter().map(|(_, token)| *token)
    }
}
