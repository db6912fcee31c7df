//! What an answer holds: its connection is busy, and memory is taken up.
//!
//! What must hold: an answer holds it until the protocol has written the last of it, or has let go of it. What a
//! peer does not read waits there, be it a head and nothing more.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderValue;

use super::table::ActiveRequest;
use crate::request_body::MemoryShare;

/// Given back when dropped.
pub(super) struct AnswerHold {
    pub(super) _busy: ActiveRequest,
    pub(super) _share: Option<Arc<MemoryShare>>,
}

/// Bytes for the protocol, and what it holds with them.
struct LastPiece {
    bytes: Bytes,
    _hold: AnswerHold,
}

impl AnswerHold {
    /// The last piece of an answer.
    pub(super) fn in_piece(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(LastPiece { bytes, _hold: self })
    }

    /// A value in the head of an answer that is nothing more. HTTP/2 drops heads as it writes them; from what it
    /// is told to compress it keeps a copy, so it is told not to.
    pub(super) fn in_header(self, value: &'static str) -> HeaderValue {
        let held = self.in_piece(Bytes::from_static(value.as_bytes()));
        let held = HeaderValue::from_maybe_shared(held);
        let mut held = held.unwrap_or(HeaderValue::from_static(value));
        held.set_sensitive(true);
        held
    }
}

impl AsRef<[u8]> for LastPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
