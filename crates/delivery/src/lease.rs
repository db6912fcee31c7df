//! A lease: under what conditions a subscriber may stay; and a grant, the part of it that means
//! something outside this process.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use fanfare_event::Timestamp;

use crate::now::Now;
use crate::seats::Seat;

/// Under what conditions a subscriber may stay. One that may stay for ever, and is counted
/// nowhere else, needs none and costs no memory for it.
#[derive(Debug)]
pub struct Lease {
    /// Whose stream it is; [`Delivery::cut`](crate::Delivery::cut) goes by it.
    pub subject: Option<Arc<str>>,
    /// By which credential it was let in, under a name that no subject has; cuts may go by it too.
    pub credential: Option<Arc<str>>,
    /// The address that it was granted to.
    pub address: IpAddr,
    /// When the right to listen ends.
    pub expires: Option<Timestamp>,
    /// When the right was verified: a cut after that, of which this stream was not part yet, is
    /// meant for it too.
    pub verified: Instant,
    /// Its seats among those of its address and of its subject, and one with a release hook if its end is announced.
    pub seats: Vec<Seat>,
}

/// What of a lease can be written down, and be another process's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// See [`Lease::subject`].
    pub subject: Option<Arc<str>>,
    /// See [`Lease::credential`].
    pub credential: Option<Arc<str>>,
    /// See [`Lease::address`]: places are taken anew by it.
    pub address: IpAddr,
    /// See [`Lease::expires`].
    pub expires: Option<Timestamp>,
    /// See [`Lease::verified`], by the wall clock.
    pub verified: Timestamp,
}

impl Lease {
    /// What a cut may call it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.subject.as_deref().into_iter().chain(self.credential.as_deref())
    }

    pub(crate) fn split(self, now: Now) -> (Grant, Vec<Seat>) {
        let Self { subject, credential, address, expires, verified, seats } = self;
        let verified = now.wall_at(verified);
        (Grant { subject, credential, address, expires, verified }, seats)
    }
}

impl Grant {
    /// The lease of whoever has it and these places. `known` is when it was verified, in the process that verified
    /// it.
    pub(crate) fn lease(self, seats: Vec<Seat>, known: Option<Instant>, now: Now) -> Lease {
        let Self { subject, credential, address, expires, verified } = self;
        let verified = known.unwrap_or_else(|| now.monotonic_at(verified));
        Lease { subject, credential, address, expires, verified, seats }
    }
}
