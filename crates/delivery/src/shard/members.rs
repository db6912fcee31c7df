//! Members: the subscribers of one topic or pattern, and the patterns that are found in one place.

use std::collections::BTreeMap;

use fanfare_event::Pattern;
use smallvec::{SmallVec, smallvec};

use crate::subscriber_key::SubscriberKey;

/// The subscribers of one topic or pattern. Those who left stay in the list until they are half
/// of it, so that leaving costs constant time on average.
#[derive(Debug, Default)]
pub(super) struct Members {
    keys: SmallVec<[SubscriberKey; 2]>,
    gone: usize,
}

/// A pattern and its subscribers.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) pattern: Pattern,
    pub(super) members: Members,
}

/// The patterns that are found in one place: most often there is one.
#[derive(Debug)]
pub(super) enum Bucket {
    One(Box<Family>),
    Many(BTreeMap<Pattern, Box<Family>>),
}

impl Members {
    pub(super) fn of(key: SubscriberKey) -> Self {
        Self { keys: smallvec![key], gone: 0 }
    }

    /// All of them, and perhaps some who have left.
    pub(super) fn keys(&self) -> &[SubscriberKey] {
        &self.keys
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.keys.len() - self.gone
    }

    pub(super) fn join(&mut self, key: SubscriberKey) {
        self.keys.push(key);
    }

    /// Notes that one has left; true when nobody remains.
    pub(super) fn leave(&mut self, is_member: impl Fn(SubscriberKey) -> bool) -> bool {
        self.gone += 1;
        if self.gone * 2 > self.keys.len() {
            self.keys.retain(|key| is_member(*key));
            if self.keys.capacity() > self.keys.len() * 2 {
                self.keys.shrink_to_fit();
            }
            self.gone = 0;
        }
        self.keys.is_empty()
    }
}

impl Bucket {
    pub(super) fn get_mut(&mut self, pattern: &Pattern) -> Option<&mut Family> {
        match self {
            Self::One(family) => (family.pattern == *pattern).then_some(family),
            Self::Many(families) => families.get_mut(pattern).map(Box::as_mut),
        }
    }

    /// Adds a pattern that is not there.
    pub(super) fn insert(&mut self, family: Box<Family>) {
        let mut families = match std::mem::replace(self, Self::Many(BTreeMap::new())) {
            Self::One(first) => BTreeMap::from([(first.pattern.clone(), first)]),
            Self::Many(families) => families,
        };
        families.insert(family.pattern.clone(), family);
        *self = Self::Many(families);
    }

    /// Takes out a pattern that is there; whether it was the last.
    pub(super) fn remove(&mut self, pattern: &Pattern) -> bool {
        match self {
            Self::One(_) => true,
            Self::Many(families) => {
                families.remove(pattern);
                families.is_empty()
            }
        }
    }

    pub(super) fn for_each(&self, mut each: impl FnMut(&Family)) {
        match self {
            Self::One(family) => each(family),
            Self::Many(families) => families.values().for_each(|family| each(family)),
        }
    }
}
