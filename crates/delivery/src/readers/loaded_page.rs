//! A page that was read, on its way to its shard.
//!
//! What must hold: it counts against the bound on pages until it is dropped.

use fanfare_hub::Catchup;

/// What was read.
pub(crate) struct LoadedPage {
    pub(crate) catchup: Catchup,
    /// Of the queue that has the bound; what that is made of, it alone knows.
    _permit: Box<dyn Send>,
}

impl LoadedPage {
    /// What was read under this permit.
    pub(super) fn new(catchup: Catchup, permit: impl Send + 'static) -> Self {
        Self { catchup, _permit: Box::new(permit) }
    }
}
