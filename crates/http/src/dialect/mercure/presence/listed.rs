//! Some active subscriptions, as an answer lists them.

use serde_json::Value;

/// How many subscriptions one node lists, and in how many bytes.
pub(super) const MAX_LISTED: (usize, usize) = (5_000, 1 << 20);

/// Some subscriptions, as they are told of.
#[derive(Debug, Default)]
pub(in crate::dialect::mercure) struct ListedSubscriptions {
    pub(in crate::dialect::mercure) documents: Vec<Value>,
    /// Whether there are more than are listed.
    pub(in crate::dialect::mercure) more: bool,
}

impl ListedSubscriptions {
    /// What another node has answered; nothing of what cannot be read.
    pub(in crate::dialect::mercure) fn read(answer: &str) -> Self {
        let Ok(mut answer) = serde_json::from_str::<Value>(answer) else { return Self::default() };
        let more = answer["more"] == Value::Bool(true);
        let Value::Array(documents) = answer["subscriptions"].take() else {
            return Self::default();
        };
        Self { documents, more }
    }

    /// Adds others, as far as there is room.
    pub(in crate::dialect::mercure) fn add(&mut self, others: Self) {
        let room = MAX_LISTED.0.saturating_sub(self.documents.len());
        self.more |= others.more || others.documents.len() > room;
        self.documents.extend(others.documents.into_iter().take(room));
    }
}
