//! Cuts that were said at any node of the cluster. A node that was cut off from the engine hears of
//! them when it comes back, and ends what had been verified before they were said.

use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::{Cut, Delivery};
use fanfare_redis::{Notice, Notices};

/// Passes on to delivery what is heard. A notice is the name of a subject.
pub(super) struct HeardCuts {
    pub(super) deliveries: Vec<Arc<Delivery>>,
}

impl Notices for HeardCuts {
    fn hear(&self, notices: Vec<Notice>) {
        let now = Instant::now();
        let cuts = notices.into_iter().map(|Notice { text, age }| {
            // What is older than this clock was said before anything was verified by it.
            Some(Cut { subject: text.into(), at: now.checked_sub(age)? })
        });
        let cuts: Arc<[Cut]> = cuts.flatten().collect();
        for delivery in &self.deliveries {
            delivery.cut(&cuts, |streams| {
                if streams > 0 {
                    tracing::info!(streams, "streams were cut, as the cluster was told");
                }
            });
        }
    }
}
