//! A ring: a contiguous run of the log's most recent frames.

use std::collections::VecDeque;
use std::sync::Arc;

use fanfare_event::Position;

use crate::{Frame, TopicKey};

/// A contiguous run of recent frames, oldest first.
///
/// Besides its position, which may jump from one epoch to the next, a frame has an *offset*: a
/// dense count of what has passed through this process's window. The window owns a ring, and each
/// shard a copy of its pointers, so that delivering takes no lock.
#[derive(Debug)]
pub struct Ring {
    slots: VecDeque<Slot>,
    /// The offset of the first slot.
    base: u64,
    /// The position before the first slot: whoever stands here or later can be served from here.
    floor: Position,
    /// The position of whoever has everything that passed before the first slot. It differs from
    /// the floor only where the first slot tells of a loss: who stands there must not skip it.
    passed: Position,
    /// Whether it is a window's own, whose frames are counted, and not a copy.
    counted: bool,
}

/// A frame and what is needed to skip it quickly.
#[derive(Debug, Clone)]
pub struct Slot {
    pub(crate) concern: Concern,
    /// What to send.
    pub frame: Arc<Frame>,
}

/// Whom a frame concerns, as far as that can be said without looking at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// Everyone: a notice of loss.
    Everyone,
    /// Those who want this topic: an event of no other, and public.
    Topic(TopicKey),
    /// Whom, the event itself must say: it has several topics, or is private.
    Special,
}

impl Slot {
    /// A slot for `frame`.
    pub fn new(frame: Frame) -> Self {
        let concern = match frame.event() {
            None => Concern::Everyone,
            Some(event) if event.is_private() || !event.others().is_empty() => Concern::Special,
            Some(event) => Concern::Topic(TopicKey::of(&event.topic)),
        };
        Self { concern, frame: Arc::new(frame) }
    }
}

impl Ring {
    /// An empty ring after `floor`.
    pub fn new(floor: Position) -> Self {
        Self { slots: VecDeque::new(), base: 0, floor, passed: floor, counted: false }
    }

    /// The same for a window: what it holds is counted.
    pub(crate) fn counted(floor: Position) -> Self {
        Self { counted: true, ..Self::new(floor) }
    }

    /// The offset of the oldest frame.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The offset after the newest frame.
    pub fn end(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// The position before the oldest frame.
    pub fn floor(&self) -> Position {
        self.floor
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The frames from `offset` on, oldest first. An offset before the base counts as the base.
    pub fn from(&self, offset: u64) -> impl Iterator<Item = &Slot> {
        let skip = offset.saturating_sub(self.base).min(self.slots.len() as u64);
        self.slots.range(skip as usize..)
    }

    /// The frame at `offset`, if it is there.
    pub fn get(&self, offset: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(offset.checked_sub(self.base)?).ok()?)
    }

    /// The offset of the first frame after `position`; `None` where frames after it may already
    /// have left the ring.
    pub fn offset_after(&self, position: Position) -> Option<u64> {
        (position >= self.floor).then(|| {
            let passed = self.slots.partition_point(|slot| slot.frame.position() <= position);
            self.base + passed as u64
        })
    }

    /// Where a subscriber stands that has everything before `offset`.
    pub fn position_before(&self, offset: u64) -> Position {
        let passed = offset.saturating_sub(self.base).min(self.slots.len() as u64) as usize;
        passed.checked_sub(1).map_or(self.passed, |index| self.slots[index].frame.position())
    }

    /// Adds a frame behind the newest.
    pub(crate) fn push(&mut self, slot: Slot) {
        if self.counted {
            slot.frame.enter();
        }
        self.slots.push_back(slot);
    }

    /// Adds frames before the oldest; whoever stands at `floor` can be served from them on. Every frame has
    /// another offset then: nobody may have a copy.
    pub(crate) fn prepend(&mut self, floor: Position, slots: Vec<Slot>) {
        for slot in slots.into_iter().rev() {
            if self.counted {
                slot.frame.enter();
            }
            self.slots.push_front(slot);
        }
        self.floor = floor;
        self.passed = floor;
    }

    /// Removes the oldest frame.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        let slot = self.slots.pop_front()?;
        self.base += 1;
        self.floor = self.floor.max(slot.frame.position());
        self.passed = self.floor;
        self.release(&slot);
        Some(slot)
    }

    /// Removes everything; what comes next follows `floor`. Whoever had everything so far stands
    /// at `passed`.
    pub(crate) fn restart(&mut self, floor: Position, passed: Position) {
        self.base = self.end();
        self.passed = passed;
        for slot in std::mem::take(&mut self.slots) {
            self.release(&slot);
        }
        self.floor = floor;
    }

    fn release(&self, slot: &Slot) {
        if self.counted {
            slot.frame.leave();
        }
    }

    /// Makes this ring a copy of `other`, which has moved on: drops what has left it and adds what
    /// is new. Costs what has changed, not what is there.
    pub(crate) fn follow(&mut self, other: &Self) {
        while self.base < other.base && self.pop().is_some() {}
        if self.slots.is_empty() {
            self.base = self.base.max(other.base);
        }
        self.floor = other.floor;
        self.passed = other.passed;
        for slot in other.from(self.end()) {
            self.push(slot.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::{Event, Timestamp, Topic};
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::Ledger;

    fn frame(seq: u64) -> Frame {
        Frame::new(Arc::new(Event {
            position: Position::new(1, seq),
            topic: Topic::default(),
            event_type: None,
            published_at: Timestamp(0),
            message: "".into(),
            extras: None,
        }))
    }

    #[test]
    fn slots_and_frames_keep_their_size() {
        assert_eq!(size_of::<Slot>(), 24);
        // With the two counts of its `Arc`.
        assert!(size_of::<Frame>() + 2 * size_of::<usize>() <= 256);
    }

    #[test]
    fn whoever_stands_before_the_floor_is_not_served_from_the_ring() {
        let mut ring = Ring::new(Position::new(1, 0));
        (1..=10).for_each(|seq| ring.push(Slot::new(frame(seq))));
        (0..3).for_each(|_| drop(ring.pop()));
        assert_eq!(ring.offset_after(Position::new(1, 2)), None);
        assert_eq!(ring.offset_after(Position::new(1, 3)), Some(3));
        assert_eq!(ring.offset_after(Position::new(1, 10)), Some(10));
        assert_eq!(ring.offset_after(Position::new(2, 0)), Some(10));
    }

    proptest! {
        #[test]
        fn a_copy_follows_whatever_the_window_does(steps in prop::collection::vec(0u8..10, 0..200)) {
            let ledger = Arc::new(Ledger::default());
            let mut ring = Ring::counted(Position::new(1, 0));
            let mut copy = Ring::new(Position::new(1, 0));
            let mut seq = 0;
            for step in steps {
                match step {
                    0..=5 => { seq += 1; ring.push(Slot::new(frame(seq).counted_in(&ledger))); }
                    6..=7 => drop(ring.pop()),
                    8 => ring.restart(Position::new(1, seq), Position::new(1, seq)),
                    _ => {
                        copy.follow(&ring);
                        prop_assert_eq!(copy.base(), ring.base());
                        prop_assert_eq!(copy.end(), ring.end());
                        prop_assert_eq!(copy.floor(), ring.floor());
                        prop_assert_eq!(ledger.frames(), ring.len());
                        prop_assert!(copy.from(0).zip(ring.from(0))
                            .all(|(a, b)| Arc::ptr_eq(&a.frame, &b.frame)));
                    }
                }
            }
        }
    }
}
