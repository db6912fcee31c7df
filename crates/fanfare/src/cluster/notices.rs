//! Notices: what the nodes of a cluster tell all others. A cut says that the streams of a subject are to end; a
//! question is for whoever has an answer.
//!
//! A node that was cut off from the engine hears of cuts when it comes back, and ends what had been verified before
//! they were said. Where it can no longer hear of all of them, whoever has a subject has to be verified anew.

use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::{Cut, Delivery};
use fanfare_http::{NodeId, PublishStreams};
use fanfare_redis::{Notice, NoticeListener};

use super::questions::Questions;

/// What a node says to have the streams of a subject ended. A question begins otherwise: no node has its mark in its
/// id.
pub(super) fn cut(node: NodeId, subject: &str) -> String {
    format!("{node} {subject}")
}

/// Passes on to delivery what others have said, and to whoever answers what they ask. What this node has said it has
/// done, and heard back it would be taken for later than it was: it would hit those who have returned since.
pub(super) struct NoticeReader {
    pub(super) node: NodeId,
    pub(super) deliveries: Vec<Arc<Delivery>>,
    /// Those who stream what they publish.
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
                    "cuts were missed: streams of subjects end, to be verified anew"
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
            // What is older than this clock was said before anything was verified by it.
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
                    tracing::info!(streams, "streams were cut, as the cluster was told");
                }
            });
        }
    }
}
