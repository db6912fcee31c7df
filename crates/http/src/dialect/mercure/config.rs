//! What the protocol is told of a hub.

use std::sync::Arc;

use fanfare_mercure::MercureUrl;

use super::presence::Presence;
use crate::reserved::ReservedNames;

/// How Mercure's protocol is spoken.
#[derive(Debug, Clone)]
pub struct MercureConfig {
    /// Where clients find the hub.
    pub hub: Arc<MercureUrl>,
    /// Whether a token may stand in a request's address.
    pub token_in_query: bool,
    /// Whether a stream tells of what may be missing in it.
    pub gap_events: bool,
    /// Where active subscriptions are kept and told of, if they are.
    pub presence: Option<Presence>,
}

impl MercureConfig {
    /// What only the hub publishes where the protocol is spoken.
    pub fn reserved_names(&self) -> Arc<dyn ReservedNames> {
        Arc::clone(&self.hub) as Arc<dyn ReservedNames>
    }
}
