//! Notices: what the nodes of a cluster tell all others. A cut says that the streams of a subject are to end; a
//! question is for every node that has an answer.
//!
//! What must hold: a node that was cut off from the engine receives the cuts when it comes back, and ends what had been
//! verified before they were made. If some are no longer kept, every stream of a subject has to be verified anew.

use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::{Cut, Delivery};
use fanfare_http::{NodeId, PublishStreams};
use fanfare_redis::{Notice, NoticeListener};

use super::questions::Questions;

/// The notice that ends the streams of a subject. A question begins otherwise: its mark is in no node's id.
pub(super) fn cut(node: NodeId, subject: &str) -> String {
    format!("{node} {subject}")
}

/// Passes cuts of other nodes on to delivery, and their questions to what answers them. This node's own cuts are left
/// out: they are done, and would now end the streams of subjects that have come back since.
pub(super) struct NoticeReader {
    pub(super) node: NodeId,
    pub(super) deliveries: Vec<Arc<Delivery>>,
    /// Publishers that stream.
    pub(super) publishers: Arc<PublishStreams>,
    pub(super) questions: Questions,
}

impl NoticeListener for NoticeReader {
    fn on_missed(&self) {
        let now = Instant::now();
        self.publishers.reverify(now);
        for delivery in &self.deliveries {
            delivery.reverify(now, |streams| {
                tracing::warn!(
                    streams,
                    "cuts were missed: streams of subjects end, and are verified anew when they come back"
                );
            });
        }
    }

    fn on_notices(&self, notices: Vec<Notice>) {
        let now = Instant::now();
        let this = self.node.to_string();
        let cuts = notices.into_iter().filter_map(|notice| {
            let Notice { text, age } = self.questions.take(notice)?;
            let (node, subject) = text.split_once(' ')?;
            // A cut from before this clock began is older than anything that was verified by it.
            let at = now.checked_sub(age)?;
            (node != this).then(|| Cut { subject: subject.into(), at })
        });
        let cuts: Arc<[Cut]> = cuts.collect();
        if cuts.is_empty() {
            return;
        }
        self.publishers.cut(&cuts);
        for delivery in &self.deliveries {
            delivery.cut(&cuts, |streams| {
                if streams > 0 {
                    tracing::info!(streams, "streams were cut by another node");
                }
            });
        }
    }
}
