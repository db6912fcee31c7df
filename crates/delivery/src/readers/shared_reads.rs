//! Shared reads: those from which several subscribers take their pages.
//!
//! What must hold: only those share a read who had asked before it began, so that each is given what the log
//! held after it asked; whoever waits for a read waits for one that is under way, goes on by itself if
//! it fails, and does not wait for a second that may not reach it; a bounded number of stretches is kept, for as long
//! as others wait.

use std::collections::VecDeque;
use std::sync::Arc;

use fanfare_hub::Stretch;

use super::jobs::{QueuedJob, Reach};

/// How many stretches are kept, each of at most one page.
const STRETCHES: usize = 4;

#[derive(Default)]
pub(super) struct SharedReads {
    /// One for each reader, at most.
    in_progress: Vec<ReadInProgress>,
    done: VecDeque<Done>,
    begun: u64,
}

/// Which of all shared reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadNumber(u64);

struct ReadInProgress {
    number: ReadNumber,
    reach: Reach,
    /// Whoever is numbered less had asked when it began.
    asked: u64,
    /// Those who wait for it.
    parked: Vec<QueuedJob>,
}

pub(super) struct Done {
    asked: u64,
    stretch: Arc<Stretch>,
}

impl SharedReads {
    /// A read begins for all who have asked so far, which are so many.
    pub(super) fn begin(&mut self, reach: Reach, asked: u64) -> ReadNumber {
        let number = ReadNumber(self.begun);
        self.begun += 1;
        self.in_progress.push(ReadInProgress { number, reach, asked, parked: Vec::new() });
        number
    }

    /// Has this one wait, if what it wants is being read; otherwise it is given back.
    pub(super) fn park(&mut self, asked: QueuedJob) -> Option<QueuedJob> {
        let reaches = |reach: &Reach| match asked.has_waited {
            false => reach.covers(&asked.job),
            true => reach.serves(&asked.job),
        };
        let serves = |read: &&mut ReadInProgress| asked.number < read.asked && reaches(&read.reach);
        match self.in_progress.iter_mut().find(serves) {
            Some(read) => {
                read.parked.push(asked);
                None
            }
            None => Some(asked),
        }
    }

    /// How many wait for a read that is under way.
    pub(super) fn parked(&self) -> usize {
        self.in_progress.iter().map(|read| read.parked.len()).sum()
    }

    /// It has ended. Who waited for it is to be put back; the second is nobody's any more.
    pub(super) fn end(
        &mut self,
        number: ReadNumber,
        stretch: Option<&Arc<Stretch>>,
    ) -> (Vec<QueuedJob>, Option<Done>) {
        let at = self.in_progress.iter().position(|read| read.number == number);
        let Some(at) = at else { return Default::default() };
        let ReadInProgress { asked, parked, .. } = self.in_progress.swap_remove(at);
        let Some(stretch) = stretch else { return (parked, None) };
        self.done.push_back(Done { asked, stretch: Arc::clone(stretch) });
        let oldest = if self.done.len() > STRETCHES { self.done.pop_front() } else { None };
        (parked, oldest)
    }

    /// The stretch that was read for this one, too, if there is one.
    pub(super) fn for_one(&self, asked: &QueuedJob) -> Option<Arc<Stretch>> {
        let job = &asked.job;
        let serves = |done: &&Done| {
            asked.number < done.asked && done.stretch.serves(job.from, &job.interest)
        };
        self.done.iter().find(serves).map(|done| Arc::clone(&done.stretch))
    }

    /// Nobody waits any more: what is kept is nobody's, unless more is being read.
    pub(super) fn release_unclaimed(&mut self) -> Vec<Done> {
        if self.in_progress.is_empty() { self.done.drain(..).collect() } else { Vec::new() }
    }

    /// Those who wait, who will not be given anything.
    pub(super) fn close(&mut self) -> Vec<QueuedJob> {
        self.in_progress.iter_mut().flat_map(|read| std::mem::take(&mut read.parked)).collect()
    }
}
