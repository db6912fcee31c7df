//! What a log knows of its topics: which have something retained, and up to where each was
//! trimmed.
//!
//! What must hold: a trim is never forgotten downwards. A topic that falls out of the table leaves
//! its trim position to one watermark, which from then on stands for every topic the table does
//! not know. That can raise a false alarm, never hide a loss.

use std::collections::HashMap;

use fanfare_event::{Pattern, Position, Topic, TopicSelector};

/// A topic's place in a [`TopicTable`], valid for as long as the topic has something retained.
/// Small numbers, so that an engine can keep what it knows of each topic in a plain vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicId(usize);

impl TopicId {
    /// The place as an index.
    pub fn index(self) -> usize {
        self.0
    }

    /// The place of this index.
    pub fn at(index: u32) -> Self {
        Self(index as usize)
    }
}

/// The topics of one log. Does no I/O and reads no clock.
///
/// A topic with something retained is always known. Of the quiet ones, with nothing retained, a
/// bounded number is; those trimmed longest ago are forgotten first.
#[derive(Debug)]
pub struct TopicTable {
    ids: HashMap<Topic, TopicId>,
    slots: Vec<Option<KnownTopic>>,
    vacant: Vec<TopicId>,
    quiet: Quiet,
    quiet_limit: usize,
    forgotten: Position,
    trimmed: Position,
}

#[derive(Debug)]
struct KnownTopic {
    topic: Topic,
    /// How many events are retained.
    retained: u64,
    /// Everything of this topic up to here may have been trimmed.
    trimmed: Position,
    /// The neighbours among the quiet topics.
    older: Option<TopicId>,
    newer: Option<TopicId>,
}

/// The quiet topics, linked through their slots: any of them leaves in one step when it is
/// published to again.
#[derive(Debug, Default)]
struct Quiet {
    oldest: Option<TopicId>,
    newest: Option<TopicId>,
    count: usize,
}

impl TopicTable {
    /// How many quiet topics a log remembers: about 20 MB with names of 30 bytes, twice that with
    /// the longest.
    pub const QUIET_LIMIT: usize = 100_000;

    /// How many pairs of segments one question may compare, and topics it may pass over, before
    /// it is answered with what was trimmed of the whole log: about a millisecond.
    const PATTERN_STEPS: usize = 65_536;

    /// An empty table of a log of which nothing was trimmed.
    pub fn new(quiet_limit: usize) -> Self {
        Self::restored(quiet_limit, Position::ORIGIN, Position::ORIGIN, [])
    }

    /// A table as it was written down: [`TopicTable::forgotten`], [`TopicTable::trimmed`],
    /// [`TopicTable::trims`]. All topics are quiet until [`TopicTable::retain`] says otherwise,
    /// and none is forgotten before the next trim.
    pub fn restored(
        quiet_limit: usize,
        forgotten: Position,
        trimmed: Position,
        trims: impl IntoIterator<Item = (Topic, Position)>,
    ) -> Self {
        let mut table = Self {
            ids: HashMap::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
            quiet: Quiet::default(),
            quiet_limit,
            forgotten,
            trimmed: trimmed.max(forgotten),
        };
        let mut trims: Vec<_> = trims.into_iter().collect();
        trims.sort_unstable_by_key(|&(_, through)| through);
        for (topic, through) in trims {
            let (id, _) = table.retain(&topic);
            table.release(id, 1, through);
        }
        table
    }

    /// Counts one more retained event of `topic`. Returns the topic's place, and its name as the
    /// table holds it: events that share it share one allocation.
    pub fn retain(&mut self, topic: &Topic) -> (TopicId, Topic) {
        self.retain_many(topic, 1)
    }

    /// Counts so many more retained events of `topic`; one at least. Costs what one does.
    pub fn retain_many(&mut self, topic: &Topic, events: u64) -> (TopicId, Topic) {
        let events = events.max(1);
        if let Some(&id) = self.ids.get(topic) {
            if self.slots[id.0].as_ref().is_some_and(|slot| slot.retained == 0) {
                self.leave_quiet(id);
            }
            if let Some(slot) = &mut self.slots[id.0] {
                slot.retained += events;
                return (id, slot.topic.clone());
            }
        }
        let slot = KnownTopic {
            topic: topic.clone(),
            retained: events,
            trimmed: self.forgotten,
            older: None,
            newer: None,
        };
        let id = self.vacant.pop().unwrap_or(TopicId(self.slots.len()));
        if id.0 == self.slots.len() {
            self.slots.push(Some(slot));
        } else {
            self.slots[id.0] = Some(slot);
        }
        self.ids.insert(topic.clone(), id);
        (id, topic.clone())
    }

    /// Counts `events` fewer retained events of a topic, the last of which stood at `through`.
    pub fn trim(&mut self, id: TopicId, events: u64, through: Position) {
        self.release(id, events, through);
        while self.quiet.count > self.quiet_limit {
            self.forget_oldest();
        }
    }

    /// Where the topic stands, if it is known.
    pub fn id(&self, topic: &Topic) -> Option<TopicId> {
        self.ids.get(topic).copied()
    }

    /// The name of a topic, as the table holds it.
    pub fn name(&self, id: TopicId) -> Option<&Topic> {
        self.slots.get(id.0)?.as_ref().map(|slot| &slot.topic)
    }

    /// Whether something wanted, after `after`, may have been trimmed; if so, the position from
    /// which a reader can go on without meeting a second gap: the last at which something that
    /// concerns it was trimmed.
    ///
    /// Looks up the topics named outright and scans for patterns, at bounded cost. Event types
    /// are not looked at.
    pub fn trimmed_after(&self, wanted: &TopicSelector, after: Position) -> Option<Position> {
        if self.trimmed <= after {
            return None;
        }
        if wanted.matches_everything() {
            return Some(self.trimmed);
        }
        let named = wanted.topics().iter().map(|topic| self.trimmed_of(topic));
        let mut last = named.fold(after, Position::max);
        if !wanted.patterns().is_empty() {
            last = self.trimmed_of_family(wanted.patterns(), last);
        }
        (last > after).then_some(last)
    }

    /// The last position that was trimmed of the whole log.
    pub fn trimmed(&self) -> Position {
        self.trimmed
    }

    /// The watermark of the topics that are not known.
    pub fn forgotten(&self) -> Position {
        self.forgotten
    }

    /// The known topics of which something was trimmed, and up to where; in no order.
    pub fn trims(&self) -> impl Iterator<Item = (&Topic, Position)> {
        let known = self.slots.iter().flatten().map(|slot| (&slot.topic, slot.trimmed));
        known.filter(|(_, trimmed)| *trimmed > Position::ORIGIN)
    }

    /// How many topics are known.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no topic is known.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn trimmed_of(&self, topic: &Topic) -> Position {
        let slot = self.id(topic).and_then(|id| self.slots[id.0].as_ref());
        slot.map_or(self.forgotten, |slot| slot.trimmed)
    }

    /// The last trim of any topic that a pattern matches, or `floor` where that is greater.
    fn trimmed_of_family(&self, patterns: &[Pattern], floor: Position) -> Position {
        let width: usize = patterns.iter().map(|pattern| pattern.segments().count()).sum();
        let mut last = floor.max(self.forgotten);
        let mut steps = Self::PATTERN_STEPS;
        for slot in &self.slots {
            let slot = slot.as_ref().filter(|slot| slot.trimmed > last);
            let cost = slot.map_or(1, |slot| width * slot.topic.segments().count());
            let Some(rest) = steps.checked_sub(cost) else { return self.trimmed };
            steps = rest;
            if let Some(slot) = slot
                && patterns.iter().any(|pattern| pattern.matches(&slot.topic))
            {
                last = slot.trimmed;
            }
        }
        last
    }

    fn release(&mut self, id: TopicId, events: u64, through: Position) {
        self.trimmed = self.trimmed.max(through);
        let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) else { return };
        let was_retained = slot.retained > 0;
        slot.retained = slot.retained.saturating_sub(events);
        slot.trimmed = slot.trimmed.max(through);
        if was_retained && slot.retained == 0 {
            self.join_quiet(id);
        }
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.quiet.oldest else { return };
        self.leave_quiet(id);
        if let Some(slot) = self.slots[id.0].take() {
            self.forgotten = self.forgotten.max(slot.trimmed);
            self.ids.remove(&slot.topic);
            self.vacant.push(id);
        }
    }

    fn join_quiet(&mut self, id: TopicId) {
        let older = self.quiet.newest.replace(id);
        match older.and_then(|older| self.slots[older.0].as_mut()) {
            Some(neighbour) => neighbour.newer = Some(id),
            None => self.quiet.oldest = Some(id),
        }
        if let Some(slot) = &mut self.slots[id.0] {
            (slot.older, slot.newer) = (older, None);
        }
        self.quiet.count += 1;
    }

    fn leave_quiet(&mut self, id: TopicId) {
        let Some(slot) = &mut self.slots[id.0] else { return };
        let (older, newer) = (slot.older.take(), slot.newer.take());
        match older.and_then(|older| self.slots[older.0].as_mut()) {
            Some(neighbour) => neighbour.newer = newer,
            None => self.quiet.oldest = newer,
        }
        match newer.and_then(|newer| self.slots[newer.0].as_mut()) {
            Some(neighbour) => neighbour.older = older,
            None => self.quiet.newest = older,
        }
        self.quiet.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::Selector;

    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    fn wanted(topics: &[&str]) -> TopicSelector {
        Selector::parse(topics.iter().copied(), []).unwrap().topics
    }

    /// One event of `name` was retained at `seq` and trimmed at once.
    fn come_and_go(table: &mut TopicTable, name: &str, seq: u64) {
        let (id, _) = table.retain(&topic(name));
        table.trim(id, 1, at(seq));
    }

    #[test]
    fn a_trim_of_another_topic_is_no_gap() {
        let mut table = TopicTable::new(10);
        come_and_go(&mut table, "chat", 5);
        assert_eq!(table.trimmed_after(&wanted(&["orders/1"]), at(1)), None);
        assert_eq!(table.trimmed_after(&wanted(&["orders/*"]), at(1)), None);
        assert_eq!(table.trimmed_after(&wanted(&["orders/1", "chat"]), at(1)), Some(at(5)));
        assert_eq!(table.trimmed_after(&wanted(&["chat"]), at(5)), None);
        assert_eq!(table.trimmed_after(&wanted(&["**"]), at(4)), Some(at(5)));
    }

    #[test]
    fn a_gap_resumes_after_the_last_trim_that_concerns_it() {
        let mut table = TopicTable::new(10);
        for (seq, name) in ["a/1", "a/2", "a/3", "b"].iter().enumerate() {
            come_and_go(&mut table, name, seq as u64 + 1);
        }
        assert_eq!(table.trimmed_after(&wanted(&["a/*"]), at(0)), Some(at(3)));
        assert_eq!(table.trimmed_after(&wanted(&["a/1", "a/2"]), at(1)), Some(at(2)));
        assert_eq!(table.trimmed_after(&wanted(&["a/*", "b"]), at(0)), Some(at(4)));
    }

    #[test]
    fn a_forgotten_topic_leaves_its_trim_to_the_watermark() {
        let mut table = TopicTable::new(2);
        for (seq, name) in ["a", "b", "c"].iter().enumerate() {
            come_and_go(&mut table, name, seq as u64 + 1);
        }
        assert_eq!((table.len(), table.forgotten()), (2, at(1)));
        assert_eq!(table.trimmed_after(&wanted(&["a"]), at(0)), Some(at(1)));
        assert_eq!(table.trimmed_after(&wanted(&["x/*"]), at(0)), Some(at(1)));
        assert_eq!(table.trimmed_after(&wanted(&["c"]), at(0)), Some(at(3)));
        assert_eq!(table.trimmed_after(&wanted(&["never-seen"]), at(1)), None);
        table.retain(&topic("a"));
        assert_eq!(table.trimmed_after(&wanted(&["a"]), at(0)), Some(at(1)), "it came back");
    }

    #[test]
    fn a_topic_with_something_retained_is_never_forgotten() {
        let mut table = TopicTable::new(1);
        table.retain(&topic("a"));
        come_and_go(&mut table, "a", 1);
        come_and_go(&mut table, "b", 2);
        come_and_go(&mut table, "c", 3);
        assert!(table.id(&topic("a")).is_some());
        assert_eq!(table.id(&topic("b")), None);
        assert_eq!(table.trimmed_after(&wanted(&["a"]), at(2)), None);
    }

    #[test]
    fn events_counted_at_once_are_one_event() {
        let mut table = TopicTable::new(0);
        let (id, _) = table.retain_many(&topic("a"), 2);
        assert_eq!(table.retain_many(&topic("a"), 3).0, id);
        table.trim(id, 4, at(4));
        assert_eq!(table.id(&topic("a")), Some(id), "one is left");
        table.trim(id, 1, at(5));
        assert_eq!(table.id(&topic("a")), None);
    }

    #[test]
    fn a_topic_published_to_again_is_forgotten_last() {
        let mut table = TopicTable::new(3);
        for (seq, name) in ["a", "b", "c", "b", "a", "d", "e"].iter().enumerate() {
            come_and_go(&mut table, name, seq as u64 + 1);
        }
        assert_eq!(table.id(&topic("c")), None);
        assert_eq!(table.id(&topic("b")), None);
        assert_eq!(table.forgotten(), at(4));
        let mut known: Vec<_> = table.trims().map(|(topic, _)| topic.to_string()).collect();
        known.sort();
        assert_eq!(known, ["a", "d", "e"]);
        assert!(table.slots.len() <= 4, "places are reused");
    }

    #[test]
    fn too_many_topics_to_scan_is_an_alarm_not_a_silence() {
        let topics = TopicTable::PATTERN_STEPS / 4 + 2;
        let mut table = TopicTable::new(topics);
        for seq in 1..=topics {
            come_and_go(&mut table, &format!("users/{seq}"), seq as u64);
        }
        let last = at(topics as u64);
        assert_eq!(table.trimmed_after(&wanted(&["orders/*"]), at(0)), Some(last));
        assert_eq!(table.trimmed_after(&wanted(&["orders/*"]), last), None);
        assert_eq!(table.trimmed_after(&wanted(&["orders/1"]), at(0)), None);
    }

    #[test]
    fn a_restored_table_knows_what_the_first_one_knew() {
        let mut before = TopicTable::new(2);
        for (seq, name) in ["a", "b", "c", "d"].iter().enumerate() {
            come_and_go(&mut before, name, seq as u64 + 1);
        }
        let trims: Vec<_> = before.trims().map(|(topic, at)| (topic.clone(), at)).collect();
        let mut after = TopicTable::restored(2, before.forgotten(), before.trimmed(), trims);
        for name in ["a", "b", "c", "d", "**", "*"] {
            for seq in 0..=4 {
                let wanted = wanted(&[name]);
                assert_eq!(
                    after.trimmed_after(&wanted, at(seq)),
                    before.trimmed_after(&wanted, at(seq))
                );
            }
        }
        come_and_go(&mut after, "e", 5);
        assert_eq!(after.id(&topic("c")), None, "trimmed longest ago");
        assert_eq!(after.forgotten(), at(3));
    }
}
