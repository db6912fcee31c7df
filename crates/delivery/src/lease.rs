//! A lease: under what conditions a subscriber may stay.

use std::sync::Arc;
use std::time::Instant;

use crate::seats::Seat;

/// Under what conditions a subscriber may stay. One that may stay for ever, and is counted
/// nowhere else, needs none and costs no memory for it.
#[derive(Debug)]
pub struct Lease {
    /// Whose stream it is; [`Delivery::cut`](crate::Delivery::cut) goes by it.
    pub subject: Option<Arc<str>>,
    /// By which credential it was let in, under a name that no subject has; cuts may go by it too.
    pub credential: Option<Arc<str>>,
    /// When the right to listen ends.
    pub expires: Option<Instant>,
    /// When the right was verified: a cut after that, of which this stream was not part yet, is
    /// meant for it too.
    pub verified: Instant,
    /// Its places among those of its address and of its subject.
    pub seats: Vec<Seat>,
}

impl Lease {
    /// What a cut may call it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.subject.as_deref().into_iter().chain(self.credential.as_deref())
    }
}
