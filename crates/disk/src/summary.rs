//! A summary: what is known of a closed segment for as long as it is part of the log.
//!
//! What must hold: it is all that a start, a trim and the choice of what a reader reads next have to know.
//! Where single records lie is in the [`Index`], which is read when somebody asks for it.

use std::ops::Range;

use fanfare_event::{EventId, Position, Timestamp};

use crate::index::Index;

/// What is known of a closed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Where it begins in the log.
    pub first: Position,
    /// How many records it has, the lost ones included.
    pub count: u32,
    /// Where the last one ends in the file, in bytes.
    pub end: u32,
    /// The times of its oldest and newest record.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The stretches of ordinals that cannot be read.
    pub lost: Vec<Range<u32>>,
    /// The records whose publishers chose an id, ascending.
    pub ids: Vec<(u32, EventId)>,
}

/// What a segment holds of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicShare<T> {
    /// The topic, or what stands for it.
    pub topic: T,
    /// How many events there are; one at least.
    pub events: u32,
    /// The ordinal of the last one.
    pub last: u32,
}

impl Summary {
    /// Of a closed index, whose ids it takes.
    pub(crate) fn of(index: &mut Index) -> Self {
        Self {
            first: index.first(),
            count: index.count(),
            end: index.end(),
            times: index.times(),
            lost: index.lost().to_vec(),
            ids: index.take_ids(),
        }
    }

    /// The position of its last record; the one before its first where it has none.
    pub(crate) fn last(&self) -> Position {
        Position::new(self.first.epoch, self.first.seq - 1 + u64::from(self.count))
    }

    /// The position of a record.
    pub(crate) fn position(&self, ordinal: u32) -> Position {
        self.first.plus(ordinal.into())
    }

    /// Whether its parts agree with each other.
    pub(crate) fn is_consistent(&self) -> bool {
        let lost_fit = self.lost.iter().all(|lost| lost.start < lost.end && lost.end <= self.count)
            && self.lost.is_sorted_by(|a, b| a.end <= b.start);
        let ids_fit = self.ids.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.ids.last().is_none_or(|(ordinal, _)| *ordinal < self.count);
        lost_fit && ids_fit && self.first > Position::ORIGIN
    }
}
