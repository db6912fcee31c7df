//! A group: lines that are appended together, and what each of them is to be answered.

use std::ops::RangeInclusive;

use fanfare_auth::Authorised;
use fanfare_event::Draft;
use fanfare_log::Appended;

use crate::dialect::LineFormat;

/// The most events in a group: they are appended under one lock.
const EVENTS: usize = 4_096;
/// From how many bytes on, of lines or of what is said of bad ones, a group is full.
const BYTES: usize = 256 * 1024;
/// The most lines in a group that are refused: each costs more than an event.
const REFUSALS: usize = 256;

/// A group that is being gathered.
pub(super) struct Group {
    pub(super) batch: Authorised<Vec<Draft>>,
    notes: Notes,
}

/// What is to be answered of a group's lines, in their order.
#[derive(Debug, Default)]
pub(super) struct Notes {
    notes: Vec<LineNote>,
    last: usize,
    lines_held: usize,
    refusals: usize,
    refusals_held: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum LineNote {
    /// These lines hold so many events, and nothing else.
    Events { lines: RangeInclusive<usize>, count: usize },
    /// What is said of one that was refused.
    Refused(Vec<u8>),
}

impl Group {
    /// One without lines, for whom `batch` was authorised.
    pub(super) fn new(batch: Authorised<Vec<Draft>>) -> Self {
        Self { batch, notes: Notes::default() }
    }

    /// Whether there is no line that has to be answered.
    pub(super) fn is_empty(&self) -> bool {
        self.notes.last == 0
    }

    /// Whether the next line is for another group.
    pub(super) fn is_full(&self) -> bool {
        let Notes { lines_held, refusals, refusals_held, .. } = self.notes;
        let is_long = lines_held >= BYTES || refusals_held >= BYTES;
        is_long || refusals >= REFUSALS || self.batch.len() >= EVENTS
    }

    /// How many events there are.
    pub(super) fn events(&self) -> usize {
        self.batch.len()
    }

    /// For how many events it counts: a line that is refused has been read like one that is not.
    pub(super) fn charge(&self) -> usize {
        self.batch.len() + self.notes.refusals
    }

    /// Notes a line that is an event, or blank.
    pub(super) fn note_line(&mut self, number: usize, bytes: usize, is_event: bool) {
        let Notes { notes, last, lines_held, .. } = &mut self.notes;
        (*last, *lines_held) = (number, *lines_held + bytes);
        if !is_event {
            return;
        }
        match notes.last_mut() {
            Some(LineNote::Events { lines, count }) => {
                *lines = *lines.start()..=number;
                *count += 1;
            }
            _ => notes.push(LineNote::Events { lines: number..=number, count: 1 }),
        }
    }

    /// Notes a line that was refused; how many bytes it takes to say so.
    pub(super) fn note_refusal(
        &mut self,
        number: usize,
        bytes: usize,
        say: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let mut said = Vec::new();
        say(&mut said);
        let length = said.len();
        let Notes { notes, last, lines_held, refusals, refusals_held } = &mut self.notes;
        (*last, *lines_held) = (number, *lines_held + bytes);
        (*refusals, *refusals_held) = (*refusals + 1, *refusals_held + length);
        notes.push(LineNote::Refused(said));
        length
    }

    /// What is to be appended, and what to be answered then; what is left is empty.
    pub(super) fn take(&mut self) -> (Authorised<Vec<Draft>>, Notes) {
        (self.batch.take(), std::mem::take(&mut self.notes))
    }
}

impl Notes {
    /// The last line.
    pub(super) fn last_line(&self) -> usize {
        self.last
    }

    /// How many bytes the lines have.
    pub(super) fn lines_held(&self) -> usize {
        self.lines_held
    }

    /// How many bytes are said of those that were refused.
    pub(super) fn refusals_held(&self) -> usize {
        self.refusals_held
    }

    /// The answer, where the events were given these positions.
    pub(super) fn answer(self, format: &dyn LineFormat, appended: &Appended, answer: &mut Vec<u8>) {
        let mut first = appended.first;
        for note in self.notes {
            match note {
                LineNote::Events { lines, count } => {
                    format.accepted(lines, &Appended { first, count, ..*appended }, answer);
                    first = first.plus(count as u64);
                }
                LineNote::Refused(said) => answer.extend_from_slice(&said),
            }
        }
    }
}
