//! A cursor: where a subscriber stands in the log; and where it would resume.

use std::num::NonZeroU64;

use fanfare_log::ReadFrom;

/// Where a subscriber stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// At its shard's position: it has everything the shard has seen, and needs no place of its
    /// own.
    Live,
    /// Behind.
    At(ReadFrom),
}

/// The shard's offset when a subscriber last got an event id, if it ever did; in a single word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldId(Option<NonZeroU64>);

impl HeldId {
    pub(crate) const NONE: Self = Self(None);
    /// From before anything in the ring.
    pub(crate) const OLD: Self = Self::at(0);

    pub(crate) const fn at(offset: u64) -> Self {
        Self(NonZeroU64::new(offset.saturating_add(1)))
    }

    pub(crate) fn offset(self) -> Option<u64> {
        self.0.map(|after| after.get() - 1)
    }
}
