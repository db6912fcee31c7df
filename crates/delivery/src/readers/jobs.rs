//! Jobs: what waits to be read, and for whom.
//!
//! What must hold: addresses take turns, and so do the streams of one: whoever opens a thousand waits for its
//! own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use fanfare_hub::{Envelope, Interest};
use fanfare_log::{PageLimit, ReadError, ReadFrom};

use super::loaded_page::LoadedPage;
use crate::address_group::AddressGroup;

/// Among the next of how many addresses is looked for those who could share a read.
const ADDRESSES_LOOKED_AT: usize = 16;
/// Among the next how many of each.
const JOBS_LOOKED_AT: usize = 4;

/// Read on for one subscriber.
pub(crate) struct ReadJob {
    pub(crate) address_group: AddressGroup,
    /// Gone as soon as its subscriber has left.
    pub(crate) awaited: Weak<()>,
    pub(crate) from: ReadFrom,
    pub(crate) interest: Arc<Interest>,
    pub(crate) envelope: Envelope,
    pub(crate) limit: PageLimit,
    /// How many bytes a read may bring that several share.
    pub(crate) most_bytes: usize,
    pub(crate) done: Box<dyn FnOnce(Result<LoadedPage, ReadError>) + Send>,
}

/// What a read will bring, as far as that can be said before.
pub(super) struct Reach {
    from: ReadFrom,
    interest: Arc<Interest>,
    /// How many, at most.
    events: u64,
}

/// At most one for each subscriber, and those of some who have left.
#[derive(Default)]
pub(super) struct Jobs {
    /// Whoever has some; never an empty queue.
    queues: HashMap<AddressGroup, VecDeque<QueuedJob>>,
    /// Each of them once: whose turn comes when.
    turns: VecDeque<AddressGroup>,
    /// How many there are.
    waiting: usize,
    /// How many there have ever been.
    asked: u64,
}

/// A job, and which it was of all that there have ever been.
pub(super) struct QueuedJob {
    pub(super) job: ReadJob,
    pub(super) number: u64,
    /// Whether it has waited for a read of others already.
    pub(super) has_waited: bool,
}

impl ReadJob {
    /// Whether its subscriber is still there.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.strong_count() > 0
    }
}

impl Reach {
    /// What is read for this one.
    pub(super) fn of(job: &ReadJob) -> Self {
        let interest = Arc::clone(&job.interest);
        Self { from: job.from, interest, events: job.limit.events as u64 }
    }

    /// Whether this one finds there what it wants, whatever the read brings: the same, from the same place.
    pub(super) fn serves(&self, job: &ReadJob) -> bool {
        self.from == job.from && self.interest.wants_the_same(&job.interest)
    }

    /// Whether this one would find there what it wants: the same, from the same place or a little further.
    pub(super) fn covers(&self, job: &ReadJob) -> bool {
        let is_near = match (self.from, job.from) {
            (ReadFrom::After(from), ReadFrom::After(at)) => {
                let ahead = at.seq.checked_sub(from.seq);
                from.epoch == at.epoch && ahead.is_some_and(|ahead| ahead < self.events)
            }
            (from, at) => from == at,
        };
        is_near && self.interest.wants_the_same(&job.interest)
    }
}

impl Jobs {
    pub(super) fn push(&mut self, job: ReadJob) {
        let number = self.asked;
        self.asked += 1;
        let group = job.address_group;
        let queue = self.queues.entry(group).or_default();
        if queue.is_empty() {
            self.turns.push_back(group);
        }
        queue.push_back(QueuedJob { job, number, has_waited: false });
        self.waiting += 1;
    }

    /// Puts one back that has waited for a read of others, before all others of its address.
    pub(super) fn put_back(&mut self, mut asked: QueuedJob) {
        asked.has_waited = true;
        let group = asked.job.address_group;
        let queue = self.queues.entry(group).or_default();
        if queue.is_empty() {
            self.turns.push_front(group);
        }
        queue.push_front(asked);
        self.waiting += 1;
    }

    pub(super) fn pop(&mut self) -> Option<QueuedJob> {
        let group = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&group)?;
        let job = queue.pop_front();
        self.waiting -= usize::from(job.is_some());
        if queue.is_empty() {
            self.queues.remove(&group);
        } else {
            self.turns.push_back(group);
        }
        job
    }

    /// How many there are.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many there have ever been.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// How many bytes those of the next few that a read would serve, too, would have had read for them.
    pub(super) fn bytes_of_sharers(&self, reach: &Reach) -> usize {
        let groups = self.turns.iter().take(ADDRESSES_LOOKED_AT);
        let queues = groups.filter_map(|group| self.queues.get(group));
        let jobs = queues.flat_map(|queue| queue.iter().take(JOBS_LOOKED_AT));
        let sharers = jobs.map(|asked| &asked.job).filter(|job| reach.covers(job));
        sharers.fold(0, |bytes, job| bytes.saturating_add(job.limit.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::job;
    use super::*;

    #[test]
    fn a_stream_of_one_address_does_not_wait_for_a_thousand_of_another() {
        let mut jobs = Jobs::default();
        (0..1_000).for_each(|_| jobs.push(job(1)));
        jobs.push(job(2));
        jobs.push(job(3));
        let pop = |jobs: &mut Jobs| jobs.pop().map(|asked| asked.job.address_group.0);
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut jobs)).collect();
        assert_eq!(&order[..4], [1, 2, 3, 1]);
        assert_eq!(order.len(), 1_002);
        assert!(jobs.queues.is_empty() && jobs.turns.is_empty(), "an address is left behind");
    }
}
