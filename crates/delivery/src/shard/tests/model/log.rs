//! The log, and what the model knows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_event::{EventType, Position, Topic};
use fanfare_testkit::{FickleLog, InjectedLoss};

/// What the log has accepted and not lost: where, and what.
pub(super) type Published = BTreeMap<Position, Message>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: Topic,
    pub(super) event_type: Option<EventType>,
    pub(super) text: String,
}

/// The log beside what it has been given.
pub(super) struct Log {
    pub(super) engine: Arc<FickleLog>,
    /// What it has accepted and not lost, trimmed or not.
    pub(super) published: Published,
    pub(super) lost: Published,
}

impl Log {
    pub(super) fn lose(&mut self, loss: InjectedLoss) {
        self.lost.append(&mut self.published.split_off(&loss.end.next()));
    }
}
