//! The cluster: what this node shares with the others on the same engine, beside the log. On an
//! engine of its own a node is alone, and there is none of this.

mod cuts;
mod tickets;

use std::sync::Arc;

use fanfare_delivery::Delivery;
use fanfare_redis::{Commons, CommonsError};

use self::cuts::HeardCuts;
pub(crate) use self::tickets::SharedTickets;

/// The other nodes, as this one reaches them.
#[derive(Debug)]
pub(crate) struct Cluster {
    commons: Arc<Commons>,
}

impl Cluster {
    pub(crate) fn new(commons: Arc<Commons>) -> Self {
        Self { commons }
    }

    /// Tickets that are good once on any node, at most `capacity` of this node's at a time.
    pub(crate) fn tickets(&self, capacity: usize) -> SharedTickets {
        SharedTickets::new(Arc::clone(&self.commons), capacity)
    }

    /// Ends in `deliveries` what other nodes say is to end.
    pub(crate) fn obey(&self, deliveries: Vec<Arc<Delivery>>) {
        self.commons.listen(Arc::new(HeardCuts { deliveries }));
    }

    /// Tells every node that the streams of a subject are to end.
    pub(crate) async fn cut(&self, subject: &str) -> Result<(), CommonsError> {
        self.commons.notify(subject).await
    }
}
