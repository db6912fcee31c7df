//! The format of a hand-over: what of a hub travels in it, and what is closed or forgotten instead.
//!
//! Format 2 has three things more than format 1: the events of a log in memory come ahead, while everyone is served;
//! the secrets of streams over TLS come along, without which those streams do not move; and so does the list of
//! Mercure's active subscriptions, without which the streams move and are no longer listed.

use fanfare_handover::{FORMATS, Formats};

/// A format that this process knows: one of [`FORMATS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Format(u16);

impl Format {
    /// The oldest that is known, which has the least.
    pub(super) const OLDEST: Self = Self(FORMATS.oldest);
    const SECOND: Self = Self(2);

    /// The newest that both processes know.
    pub(super) fn common(theirs: Formats) -> Option<Self> {
        theirs.common(FORMATS).map(Self)
    }

    /// The format of this number, if it is known.
    pub(super) fn known(number: u16) -> Option<Self> {
        FORMATS.contains(number).then_some(Self(number))
    }

    /// Its number, for the other process.
    pub(super) fn number(self) -> u16 {
        self.0
    }

    /// Whether the events of a log in memory are written ahead.
    pub(super) fn has_log_ahead(self) -> bool {
        self >= Self::SECOND
    }

    /// Whether streams over TLS move.
    pub(super) fn has_tls(self) -> bool {
        self >= Self::SECOND
    }

    /// Whether the listed subscriptions of Mercure's protocol move.
    pub(super) fn has_presence(self) -> bool {
        self >= Self::SECOND
    }
}
