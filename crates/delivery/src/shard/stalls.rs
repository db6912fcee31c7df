//! Stalls: which subscribers are blocked, and when they will have been so for too long.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::backpressure::StallPolicy;
use crate::subscriber_key::SubscriberKey;

/// The blocked subscribers by deadline. One that takes some bytes keeps its place; only when its
/// deadline comes is it asked when that was, and how many there were.
#[derive(Debug)]
pub(crate) struct Stalls {
    policy: StallPolicy,
    deadlines: BTreeSet<(Instant, SubscriberKey)>,
}

impl Stalls {
    pub(crate) fn new(policy: StallPolicy) -> Self {
        Self { policy, deadlines: BTreeSet::new() }
    }

    /// How much a blocked subscriber has to take.
    pub(crate) fn policy(&self) -> StallPolicy {
        self.policy
    }

    /// A subscriber is blocked, and to be judged at `deadline`.
    pub(crate) fn insert(&mut self, key: SubscriberKey, deadline: Instant) {
        self.deadlines.insert((deadline, key));
    }

    /// The next subscriber whose deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<SubscriberKey> {
        let (deadline, _) = self.deadlines.first()?;
        if *deadline > now {
            return None;
        }
        self.deadlines.pop_first().map(|(_, key)| key)
    }

    /// Everyone who is, or was a moment ago, blocked.
    pub(crate) fn keys(&self) -> impl Iterator<Item = SubscriberKey> {
        self.deadlines.iter().map(|(_, key)| *key)
    }
}
