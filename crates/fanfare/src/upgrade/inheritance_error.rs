//! What can be wrong with what was handed over.

use fanfare_delivery::UnreadableSubscription;
use fanfare_handover::{CargoError, Malformed};

use crate::state::HubStateError;

/// Why what was handed over cannot be made a hub of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritanceError {
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Subscription(#[from] UnreadableSubscription),
    #[error(transparent)]
    State(#[from] HubStateError),
}
