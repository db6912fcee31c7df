//! Which topics lost something to a trim, as far as this node has heard of their events: so that a
//! subscriber of `orders/1` has no gap because `chat` was trimmed.
//!
//! Redis trims the old end of the stream and does not say what stood there. A node remembers the
//! topic of every entry it has heard, for as long as it may be retained.
//!
//! What must hold: where this node has not heard of everything in between, the answer is yes.

use std::collections::VecDeque;

use fanfare_event::{Event, Position, TopicSelector};
use fanfare_log::{TopicId, TopicTable};

/// How many entries are remembered, 24 bytes for each of their topics. An older one counts as trimmed: a false alarm
/// for those who ask for its topic, and no silence.
const MAX_HEARD: usize = 1 << 20;

/// The topics of what this node has heard, and up to where each may have been trimmed.
pub(crate) struct StreamTrims {
    topics: TopicTable,
    /// What this node has heard and the table does not count as trimmed, in order.
    heard: VecDeque<(Position, TopicId)>,
}

impl StreamTrims {
    /// Of what stood up to here nothing is known.
    pub(crate) fn since(at: Position) -> Self {
        let topics = TopicTable::restored(TopicTable::QUIET_LIMIT, at, at, []);
        Self { topics, heard: VecDeque::new() }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        for topic in event.topics() {
            let (id, _) = self.topics.retain(topic);
            self.heard.push_back((event.position, id));
        }
        if self.heard.len() > MAX_HEARD
            && let Some((oldest, _)) = self.heard.front().copied()
        {
            self.trim(oldest);
        }
    }

    /// Nothing up to here is retained.
    pub(crate) fn trim(&mut self, through: Position) {
        while let Some((position, id)) = self.heard.front().copied()
            && position <= through
        {
            self.heard.pop_front();
            self.topics.trim(id, 1, position);
        }
    }

    /// Whether something `wanted`, after `after`, may be among what was trimmed up to `through`.
    pub(crate) fn concern(
        &mut self,
        wanted: &TopicSelector,
        after: Position,
        through: Position,
    ) -> bool {
        self.trim(through);
        self.topics.trimmed_after(wanted, after).is_some()
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::{Selector, Timestamp, Topic};

    use super::*;

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    fn wanted(topic: &str) -> TopicSelector {
        Selector::parse([topic], []).unwrap().topics
    }

    /// Hears of one event of each topic, from `first` on.
    fn hear(trims: &mut StreamTrims, first: u64, topics: &[&str]) {
        for (seq, topic) in (first..).zip(topics) {
            trims.on_event(&Event {
                position: at(seq),
                topic: Topic::parse(topic).unwrap(),
                event_type: None,
                published_at: Timestamp(0),
                message: "".into(),
                extras: None,
            });
        }
    }

    #[test]
    fn only_a_trim_of_a_wanted_topic_is_a_gap() {
        let mut trims = StreamTrims::since(at(10));
        hear(&mut trims, 11, &["chat", "orders/1", "chat", "chat"]);
        assert!(!trims.concern(&wanted("orders/1"), at(10), at(11)));
        assert!(!trims.concern(&wanted("orders/1"), at(12), at(13)));
        assert!(trims.concern(&wanted("orders/*"), at(10), at(13)));
        assert!(trims.concern(&wanted("chat"), at(12), at(13)));
        assert!(!trims.concern(&wanted("chat"), at(13), at(13)));
        assert!(trims.concern(&wanted("**"), at(12), at(13)));
    }

    #[test]
    fn what_this_node_has_not_heard_may_be_wanted() {
        let mut trims = StreamTrims::since(at(10));
        hear(&mut trims, 11, &["chat"]);
        for topic in ["orders/1", "chat", "never/published", "*"] {
            assert!(trims.concern(&wanted(topic), at(9), at(10)), "{topic}");
            assert!(!trims.concern(&wanted(topic), at(10), at(10)), "{topic}");
        }
    }
}
