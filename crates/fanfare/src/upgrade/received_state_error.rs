//! What can be wrong with what was handed over.

use fanfare_delivery::UnreadableSubscription;
use fanfare_handover::{Malformed, StateFileError};

use crate::state::HubStateError;

/// Why what was handed over cannot be made a hub of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceivedStateError {
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Subscription(#[from] UnreadableSubscription),
    #[error(transparent)]
    State(#[from] HubStateError),
}
