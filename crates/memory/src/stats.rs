//! What a log in memory holds.

use fanfare_event::Position;

/// What a log in memory holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStats {
    /// How many events are retained.
    pub events: usize,
    /// What they weigh, by [`Event::weight`](fanfare_event::Event::weight).
    pub bytes: u64,
    /// How many topics are known, with or without retained events.
    pub topics: usize,
    /// How many idempotency keys are remembered, since the latest expiry.
    pub keys: usize,
    /// The oldest retained event.
    pub oldest: Option<Position>,
    /// The latest position that was assigned.
    pub last: Position,
}
