//! What is remembered of an idempotency key: its fingerprint, and its first answer.

use fanfare_event::{Position, Timestamp};

/// What a table keeps of a key: 128 bits of SipHash-2-4 under a secret, not the text.
///
/// That makes every key cost the same, about 100 bytes, instead of up to 255 more. Two of a
/// million keys share a fingerprint with a probability near 2⁻⁸⁹, and whoever does not know the
/// secret cannot search for such a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u64; 2]);

/// A key's first answer, as a log may write it down and restore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Which key; means something only together with the table's secret.
    pub fingerprint: Fingerprint,
    /// The position of the batch's first event.
    pub first: Position,
    /// How many events the batch had.
    pub count: usize,
    /// When the batch was accepted: the window begins here.
    pub at: Timestamp,
    /// Whose key it is.
    pub owner: Fingerprint,
    /// What the key was sent with; `None` where it does not say.
    pub content: Option<Fingerprint>,
}
