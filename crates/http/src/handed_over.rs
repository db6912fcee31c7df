//! Handed over: how streams that another process had let in are taken in here.
//!
//! What must hold: a stream that moves keeps its places and its rights, and no more than those; and one that was let in
//! by a credential that is not accepted here is ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::{
    Connection, Delivery, Detached, Seat, StreamFormat, Subscription, Vocabulary, native,
};
use fanfare_event::Pattern;
use fanfare_hub::Envelope;
use fanfare_mercure::{Matcher, MercureUrl};

use crate::connection::Connections;
use crate::dialect::mercure_format;
use crate::state::AppState;

/// What subscriptions that were written down call by name.
#[derive(Debug)]
pub struct SubscriptionVocabulary<'a> {
    /// The URL that relative matchers are resolved against, if Mercure's protocol is spoken.
    pub mercure_url: Option<&'a Arc<MercureUrl>>,
}

impl Vocabulary for SubscriptionVocabulary<'_> {
    fn format(&self, name: &str) -> Option<&'static dyn StreamFormat> {
        let own = [Envelope::None, Envelope::Json, Envelope::Sealed].map(native);
        let all = own.into_iter().chain([true, false].map(mercure_format));
        all.into_iter().find(|format| format.name() == name)
    }

    fn expression(&self, text: &str) -> Option<Pattern> {
        Matcher::expression(text, self.mercure_url?)
    }
}

impl Connections {
    /// Gives a stream of another process its places here, whether or not they are free: among those of
    /// `delivery`, which is to go on with it, and among those that are listed.
    pub fn take_in(
        &self,
        subscription: Subscription,
        connection: Connection,
        listed: Option<Seat>,
        delivery: &Delivery,
    ) -> Detached {
        let app = self.app();
        let mut seats = Vec::new();
        if let Some(grant) = &subscription.grant {
            let patterns = subscription.interest.selector().topics.patterns();
            let places = patterns.iter().map(Pattern::places).sum();
            seats = app.quotas.keep(grant, places);
            let address = connection.peer().map(|peer| peer.ip());
            let now = Instant::now();
            seats.extend(address.and_then(|address| self.addresses().keep(address, now)));
            // A listed subscriber has a lease, which holds this.
            seats.extend(listed);
        }
        let seat = delivery.seats().take_beyond_capacity(1);
        Detached { subscription, connection, seat, seats, verified: None }
    }
}

impl AppState {
    /// Ends the streams of those among these credentials that are not accepted here.
    pub async fn end_unknown(&self, credentials: &HashSet<Arc<str>>) {
        for credential in credentials {
            if !self.access.knows(credential) {
                let streams = self.end_streams(credential).await;
                tracing::warn!(
                    streams,
                    "a key is no longer accepted, and the streams that it had admitted were ended"
                );
            }
        }
    }
}
