//! A request's body as handlers see it: it arrives in time and within a common budget, or breaks.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::iter::successors;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

/// How many bytes of bodies may be in memory at once, over all requests.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    bytes: usize,
}

/// What one request has taken of a budget; given back when dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: AtomicUsize,
}

/// Why a body broke that its sender did not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
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
    /// Exists once the body has kept its reader waiting.
    timer: Option<Pin<Box<Sleep>>>,
    share: Arc<Share>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), bytes })
    }

    /// A share of nothing so far, for one request.
    pub(crate) fn share(self: &Arc<Self>) -> Arc<Share> {
        Arc::new(Share { budget: Arc::clone(self), bytes: AtomicUsize::new(0) })
    }
}

impl Share {
    /// Takes more, unless that would exceed the budget. A body that has the budget to itself is
    /// let through however large it is: how large one may be is another setting.
    fn take(&self, bytes: usize) -> Result<(), Broken> {
        let mine = self.bytes.load(Ordering::Relaxed);
        let room = |used| {
            let alone = used == mine;
            (alone || used + bytes <= self.budget.bytes).then_some(used + bytes)
        };
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        taken.map_err(|_| Broken::NoRoom)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

impl Broken {
    /// Finds it in what a handler was told of its body.
    pub(crate) fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut causes = successors(Some(error), |&error| error.source());
        causes.find_map(|error| error.downcast_ref()).copied()
    }
}

impl RequestBody {
    /// `incoming`, which must be whole `allowed` from now. `share` is to be kept for as long as the
    /// handler may hold the bytes.
    pub(crate) fn new(incoming: Incoming, allowed: Duration, share: Arc<Share>) -> Self {
        Self { incoming, deadline: Instant::now() + allowed, timer: None, share }
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
                let taken = self.share.take(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(taken.map(|()| frame).map_err(Into::into)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|read| read.map_err(Into::into))),
            Poll::Pending => {
                let deadline = self.deadline;
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                timer.as_mut().poll(context).map(|()| Some(Err(Broken::Late.into())))
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

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_not_given_back_or_exceeds_the_budget() {
        let budget = Budget::new(10);
        let (one, another) = (budget.share(), budget.share());
        assert_eq!(one.take(6), Ok(()));
        assert_eq!(another.take(5), Err(Broken::NoRoom));
        assert_eq!(another.take(4), Ok(()));
        drop(one);
        assert_eq!(another.take(6), Ok(()));
        drop(another);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_body_larger_than_the_budget_never_gets_through() {
        let budget = Budget::new(10);
        let (alone, late) = (budget.share(), budget.share());
        assert_eq!(alone.take(8), Ok(()));
        assert_eq!(alone.take(8), Ok(()));
        assert_eq!(late.take(1), Err(Broken::NoRoom));
    }
}
