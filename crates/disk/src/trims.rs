//! What was trimmed of a log, as it stood after the latest trim.
//!
//! What must hold: a reader may keep it and compare patterns with it while the log goes on; it is never
//! more than what was gone at that moment, and answers within a bound: where the question would
//! cost more, with everything that is gone. A false alarm, never a silence.

use fanfare_event::{Position, Topic, TopicSelector};

/// What was trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trims {
    /// Everything up to here is gone.
    pub through: Position,
    /// What is gone up to here may have been of any topic.
    pub any_topic: Position,
    /// The last that is gone of each topic, in no order. Of those that are not named nothing is gone
    /// beyond the second position.
    pub topics: Vec<(Topic, Position)>,
}

impl Trims {
    /// Nothing was trimmed, as far as is known.
    pub(crate) fn none() -> Self {
        Self { through: Position::ORIGIN, any_topic: Position::ORIGIN, topics: Vec::new() }
    }

    /// How often one question compares a pattern with a topic at most: some milliseconds.
    const MOST_COMPARED: usize = 65_536;

    /// Whether something wanted after a position is gone; if so, up to where.
    pub(crate) fn after(&self, after: Position, wanted: &TopicSelector) -> Option<Position> {
        if after >= self.through {
            return None;
        }
        if wanted.matches_everything() {
            return Some(self.through);
        }
        let patterns = wanted.patterns().len().max(1);
        let mut last = after.max(self.any_topic);
        let mut compared = 0;
        for (topic, trimmed) in self.topics.iter().filter(|(_, trimmed)| *trimmed > after) {
            if *trimmed <= last {
                continue;
            }
            compared += patterns;
            if compared > Self::MOST_COMPARED {
                return Some(self.through);
            }
            if wanted.matches(topic) {
                last = *trimmed;
            }
        }
        (last > after).then(|| last.min(self.through))
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::Selector;

    use super::*;

    fn after(trims: &Trims, pattern: &str, seq: u64) -> Option<u64> {
        let wanted = Selector::parse([pattern], []).unwrap().topics;
        trims.after(Position::new(1, seq), &wanted).map(|through| through.seq)
    }

    #[test]
    fn a_trim_of_an_unwanted_topic_is_no_gap() {
        let topic = |name: &str| Topic::parse(name).unwrap();
        let at = |seq| Position::new(1, seq);
        let topics = vec![(topic("chat/1"), at(20)), (topic("orders/1"), at(9))];
        let trims = Trims { through: at(20), any_topic: at(3), topics };
        assert_eq!(after(&trims, "orders/*", 5), Some(9));
        assert_eq!(after(&trims, "orders/*", 9), None);
        assert_eq!(after(&trims, "chat/*", 9), Some(20));
        assert_eq!(after(&trims, "other/*", 2), Some(3), "it may have been of any topic");
        assert_eq!(after(&trims, "other/*", 3), None);
        assert_eq!(after(&trims, "**", 19), Some(20));
    }

    #[test]
    fn too_many_topics_to_compare_is_a_gap() {
        let many = 1..=Trims::MOST_COMPARED as u64 + 1;
        let topics =
            many.map(|seq| (Topic::parse(&format!("users/{seq}")).unwrap(), Position::new(1, seq)));
        let through = Position::new(1, Trims::MOST_COMPARED as u64 + 1);
        let trims = Trims { through, any_topic: Position::ORIGIN, topics: topics.collect() };
        assert_eq!(after(&trims, "orders/*", 0), Some(through.seq));
        assert_eq!(after(&trims, "orders/*", 1), None);
    }
}
