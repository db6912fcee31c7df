//! What a fence found of the stream.

use fanfare_event::Position;

/// The stream of events, as it was when it was last fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// The last position the stream has given out; its epoch is the current one.
    pub(crate) last: Position,
    /// The first entry, event or marker, that is retained.
    pub(crate) first: Option<Position>,
    /// How many entries are retained, markers among them.
    pub(crate) length: u64,
}

impl StreamState {
    /// Before the first fence.
    pub(crate) const UNKNOWN: Self = Self { last: Position::ORIGIN, first: None, length: 0 };

    /// The position up to which nothing is retained.
    pub(crate) fn trimmed_through(&self) -> Position {
        match self.first {
            Some(first) => Position::new(first.epoch, first.seq.saturating_sub(1)),
            None => self.last,
        }
    }
}
