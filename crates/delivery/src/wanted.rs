//! Which topics the subscribers of one shard want, so that a publisher knows whether to wake it.
//!
//! What must hold: whatever one of them wants is wanted, from before the shard last followed the window until the
//! last of them has left. What nobody wants may be taken for wanted: then the shard is woken in vain.
//!
//! The shard writes and publishers read, and no order is asked of memory but that of the window's lock: a publisher
//! has added to the window before it asks, and the shard follows the window after it has entered somebody. So either
//! the shard follows what was added, or the publisher sees who entered.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use fanfare_hub::{Interest, News, TopicKey};

/// How many groups topics are told apart by.
const GROUPS: usize = 8192;

/// How many want each group of topics.
#[derive(Debug)]
pub(crate) struct Wanted {
    groups: Box<[AtomicU32]>,
    /// How many have patterns: they may want anything.
    anything: AtomicUsize,
}

impl Wanted {
    pub(crate) fn new() -> Self {
        let groups = (0..GROUPS).map(|_| AtomicU32::new(0)).collect();
        Self { groups, anything: AtomicUsize::new(0) }
    }

    /// Whether news concern anyone.
    pub(crate) fn wants(&self, news: &News) -> bool {
        self.anything.load(Relaxed) > 0 || news.concerns(|key| self.group(key).load(Relaxed) > 0)
    }

    /// How many news concern, at most; `None` where it may be everyone.
    pub(crate) fn at_most(&self, news: &News) -> Option<usize> {
        let known = news.concerns_at_most(|key| self.group(key).load(Relaxed) as usize)?;
        Some(known + self.anything.load(Relaxed))
    }

    /// Someone has entered the shard, which follows the window after this.
    pub(crate) fn enter(&self, interest: &Interest) {
        for key in interest.keys() {
            self.group(*key).fetch_add(1, Relaxed);
        }
        if !interest.selector().topics.patterns().is_empty() {
            self.anything.fetch_add(1, Relaxed);
        }
    }

    /// Someone has left.
    pub(crate) fn leave(&self, interest: &Interest) {
        for key in interest.keys() {
            self.group(*key).fetch_sub(1, Relaxed);
        }
        if !interest.selector().topics.patterns().is_empty() {
            self.anything.fetch_sub(1, Relaxed);
        }
    }

    fn group(&self, key: TopicKey) -> &AtomicU32 {
        &self.groups[key.group(GROUPS)]
    }
}
