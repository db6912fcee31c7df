//! A request's body as handlers see it: it arrives in time and within a common budget, or breaks.
//!
//! What must hold: bodies never take up more memory together than their budget, nor those of one
//! address from elsewhere more than its part of it. Large answers that are not read yet have a budget
//! of the same size, and the same rules.
//! One body alone may be larger: how large one may be is another setting.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::iter::successors;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connection::Unfinished;
use crate::network64::Network64;

/// Which part of the budget one address from elsewhere may take up.
const PART: usize = 4;

/// How many bytes of bodies may be in memory at once.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used: AtomicUsize,
    bytes: usize,
    /// What each address from elsewhere takes up; none that takes up nothing.
    holders: Mutex<HashMap<Network64, usize>>,
}

/// What one request has taken of a budget; given back when dropped.
pub(crate) struct MemoryShare {
    budget: Arc<MemoryBudget>,
    holder: Option<Network64>,
    bytes: AtomicUsize,
}

/// Why a body broke that its sender did not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyLimit {
    /// It took too long.
    #[error("the body did not arrive in time")]
    Late,
    /// Other bodies take up what memory there is for them.
    #[error("too many bodies are arriving at once")]
    NoRoom,
}

/// A request's body.
pub(crate) struct RequestBody {
    incoming: Incoming,
    deadline: Instant,
    /// Whether its reader has found nothing once.
    has_waited: bool,
    /// Exists once the body has kept its reader waiting.
    timer: Option<Pin<Box<Sleep>>>,
    terms: Arc<BodyTerms>,
    unfinished: Arc<Unfinished>,
}

/// On which terms a request's body is read; the request carries them as an extension.
pub(crate) struct BodyTerms {
    /// How long the body may take, and if it is read line by line, one of them.
    allowed: Duration,
    share: Arc<MemoryShare>,
    /// Whether it may go on for as long as it likes, and whoever reads it sees to its deadlines.
    endless: AtomicBool,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), bytes, holders: Mutex::default() })
    }

    /// A share of nothing so far, for one request of this address, if it is one that is limited.
    pub(crate) fn share(self: &Arc<Self>, holder: Option<Network64>) -> Arc<MemoryShare> {
        Arc::new(MemoryShare { budget: Arc::clone(self), holder, bytes: AtomicUsize::new(0) })
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<Network64, usize>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryShare {
    /// Takes more, unless that would exceed the budget, or the holder's part of it. A body that has
    /// one of them to itself is let through however large it is.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), BodyLimit> {
        if bytes == 0 {
            return Ok(());
        }
        let mine = self.bytes.load(Ordering::Relaxed);
        let fits = |used: usize, most: usize| used == mine || used.saturating_add(bytes) <= most;
        if let Some(holder) = self.holder {
            let mut holders = self.budget.holders();
            let held = holders.get(&holder).copied().unwrap_or(0);
            if !fits(held, self.budget.bytes / PART) {
                return Err(BodyLimit::NoRoom);
            }
            holders.insert(holder, held + bytes);
        }
        let room = |used| fits(used, self.budget.bytes).then_some(used + bytes);
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        if taken.is_err() {
            self.forget(bytes);
            return Err(BodyLimit::NoRoom);
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Gives so much of it back; never more than was taken.
    pub(crate) fn release(&self, bytes: usize) {
        let less = |taken: usize| Some(taken.saturating_sub(bytes));
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let bytes = taken.map_or(0, |taken| taken.min(bytes));
        if bytes > 0 {
            self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
            self.forget(bytes);
        }
    }

    /// The holder takes up so much less.
    fn forget(&self, bytes: usize) {
        let Some(holder) = self.holder else { return };
        let mut holders = self.budget.holders();
        if let Some(held) = holders.get_mut(&holder) {
            *held -= bytes;
            if *held == 0 {
                holders.remove(&holder);
            }
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.release(usize::MAX);
    }
}

impl BodyTerms {
    /// A body that may take so long. `share` is to be kept for as long as the handler may hold its bytes.
    pub(crate) fn new(allowed: Duration, share: Arc<MemoryShare>) -> Arc<Self> {
        Arc::new(Self { allowed, share, endless: AtomicBool::new(false) })
    }

    /// From now on the body may go on for as long as it likes. Whoever reads it lets no part of it take
    /// longer than what is returned, and gives back of the share what it does not hold any more.
    pub(crate) fn make_endless(&self) -> Duration {
        self.endless.store(true, Ordering::Relaxed);
        self.allowed
    }

    /// What the body has taken of the memory for bodies.
    pub(crate) fn share(&self) -> &MemoryShare {
        &self.share
    }
}

impl BodyLimit {
    /// Finds it in what a handler was told of its body.
    pub(crate) fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut causes = successors(Some(error), |&error| error.source());
        causes.find_map(|error| error.downcast_ref()).copied()
    }
}

impl RequestBody {
    /// `incoming`, to be read on these terms from now; `unfinished` is the connection's.
    pub(crate) fn new(
        incoming: Incoming,
        terms: Arc<BodyTerms>,
        unfinished: Arc<Unfinished>,
    ) -> Self {
        unfinished.reads(!incoming.is_end_stream());
        let deadline = Instant::now() + terms.allowed;
        Self { incoming, deadline, has_waited: false, timer: None, terms, unfinished }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.incoming.is_end_stream() {
            self.unfinished.on_body_dropped();
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let taken = self.terms.share.take(frame.data_ref().map_or(0, Bytes::len));
                self.unfinished.reads(!self.incoming.is_end_stream());
                Poll::Ready(Some(taken.map(|()| frame).map_err(Into::into)))
            }
            Poll::Ready(other) => {
                self.unfinished.reads(other.is_some());
                Poll::Ready(other.map(|read| read.map_err(Into::into)))
            }
            Poll::Pending if self.terms.endless.load(Ordering::Relaxed) => Poll::Pending,
            // hyper reads the body once it is asked for, so nearly all are there when it is asked again: a timer
            // for each of them would be set for nothing.
            Poll::Pending if !self.has_waited => {
                self.has_waited = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                let deadline = self.deadline;
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                timer.as_mut().poll(context).map(|()| Some(Err(BodyLimit::Late.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for BodyTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyTerms").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_given_back_and_within_the_budget() {
        let budget = MemoryBudget::new(10);
        let (one, another) = (budget.share(None), budget.share(None));
        assert_eq!(one.take(6), Ok(()));
        assert_eq!(another.take(5), Err(BodyLimit::NoRoom));
        assert_eq!(another.take(4), Ok(()));
        drop(one);
        assert_eq!(another.take(6), Ok(()));
        another.release(7);
        assert_eq!(budget.used.load(Ordering::Relaxed), 3);
        another.release(7);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0, "never more than was taken");
        assert_eq!(another.take(9), Ok(()));
        drop(another);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_address_does_not_take_the_whole_budget() {
        let budget = MemoryBudget::new(40);
        let of = |address: &str| budget.share(Some(Network64::of(address.parse().unwrap())));
        let (one, another, other) = (of("192.0.2.1"), of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(one.take(6), Ok(()));
        assert_eq!(another.take(6), Err(BodyLimit::NoRoom));
        assert_eq!(another.take(4), Ok(()));
        assert_eq!(other.take(10), Ok(()));
        drop(one);
        assert_eq!(another.take(6), Ok(()));
        drop((another, other));
        assert_eq!(of("192.0.2.1").take(30), Ok(()), "alone it may be larger");
        assert!(budget.holders().is_empty(), "nobody takes up anything");
    }

    #[test]
    fn one_body_larger_than_the_budget_gets_through() {
        let budget = MemoryBudget::new(10);
        let (alone, late) = (budget.share(None), budget.share(None));
        assert_eq!(alone.take(8), Ok(()));
        assert_eq!(alone.take(8), Ok(()));
        assert_eq!(late.take(1), Err(BodyLimit::NoRoom));
    }
}
