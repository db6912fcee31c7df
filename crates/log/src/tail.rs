//! The tail: how an engine tells the hub what it has accepted.

use std::sync::Arc;

use fanfare_event::{Event, Position};

use crate::Lineage;

/// What an engine reports to, in the order of its log.
///
/// The first three are called one at a time, under whatever lock gives the engine its order; they
/// must be quick, must not block and must not call back into the engine. [`Tail::wake`] comes
/// after that lock is released and may make a system call.
pub trait Tail: Send + Sync + 'static {
    /// The log goes on in the current epoch of `lineage`: at a start, and whenever the engine may
    /// have lost writes. `at` is the last position before whatever [`Tail::append`] brings next.
    ///
    /// If `lineage` is not [`continuous`](Lineage::continuous) from the last position the tail
    /// heard of to `at`, then what lies between was lost: to this node at least, which may have
    /// been too slow to hear it before it was trimmed.
    fn begin(&self, lineage: &Lineage, at: Position);

    /// These were accepted, at the log's configured durability. Positions follow on from the
    /// previous call.
    fn append(&self, events: &[Arc<Event>]);

    /// Nothing up to and including `through` is retained any longer.
    fn trim(&self, through: Position);

    /// Something above has changed: let those who wait for it look. Cheap when repeated.
    fn wake(&self);

    /// The same, on the thread of whoever published it, which can spare the time to deliver to a few: a
    /// system call for each of them, and no more than that.
    fn wake_from_publisher(&self) {
        self.wake();
    }
}
