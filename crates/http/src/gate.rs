//! The gate: who acts on the hub is inside, and nobody is while it changes hands.
//!
//! Whatever changes the hub's state (a publish, a stream's beginning, a ticket, a cut) happens inside. Reading
//! a body, writing an answer, or waiting for what a client can draw out, does not: how long it takes until nobody
//! is inside is no client's to choose.
//!
//! What must hold: once it is closed and empty, nothing changes any more; who comes meanwhile waits, and goes
//! on as if nothing had been where it is opened again.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::{Notify, watch};

use crate::refusal::Refusal;

/// The gate.
#[derive(Debug)]
pub struct Gate {
    state: watch::Sender<GateState>,
    inside: AtomicUsize,
    /// Somebody has left.
    left: Notify,
}

/// Whether one may enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateState {
    /// At once.
    Open,
    /// No connection is accepted, and none is asked for another request; who has asked may still enter.
    Quiescing,
    /// Not yet.
    Closed,
    /// Never: another process is the hub.
    Gone,
}

/// Somebody inside; leaves when dropped.
#[derive(Debug)]
pub(crate) struct GateGuard {
    gate: Arc<Gate>,
    /// Not while it waits outside.
    counted: bool,
}

impl Gate {
    /// An open one.
    pub fn new() -> Arc<Self> {
        let (state, _) = watch::channel(GateState::Open);
        Arc::new(Self { state, inside: AtomicUsize::new(0), left: Notify::new() })
    }

    /// Enters, as soon as that is possible.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<GateGuard, Refusal> {
        loop {
            self.inside.fetch_add(1, Ordering::SeqCst);
            let inside = GateGuard { gate: Arc::clone(self), counted: true };
            if *self.state.borrow() < GateState::Closed {
                return Ok(inside);
            }
            drop(inside);
            if self.reached(|state| state != GateState::Closed).await == GateState::Gone {
                return Err(Refusal::HandedOver);
            }
        }
    }

    /// Whether one may enter.
    pub fn state(&self) -> GateState {
        *self.state.borrow()
    }

    /// From now on this holds.
    pub fn set(&self, state: GateState) {
        self.state.send_replace(state);
    }

    /// Resolves as soon as what is asked for holds.
    pub(crate) async fn reached(&self, holds: impl Fn(GateState) -> bool) -> GateState {
        let mut state = self.state.subscribe();
        // The sender is here.
        state.wait_for(|state| holds(*state)).await.map_or(GateState::Gone, |state| *state)
    }

    /// Resolves once nobody is inside. Of use only where nobody can enter.
    pub async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.inside.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }
}

impl GateGuard {
    /// Leaves, awaits this, and enters again; what is there at once is not left for. Nothing of the hub's state may be
    /// changed meanwhile.
    pub(crate) async fn outside<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut wait = pin!(wait);
        let at_once = poll_fn(|context| Poll::Ready(wait.as_mut().poll(context)));
        if let Poll::Ready(outcome) = at_once.await {
            return Ok(outcome);
        }
        self.leave();
        let outcome = wait.await;
        *self = self.gate.enter().await?;
        Ok(outcome)
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.counted) && self.gate.inside.fetch_sub(1, Ordering::SeqCst) == 1
        {
            self.gate.left.notify_waiters();
        }
    }
}

impl Drop for GateGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn nobody_acts_while_the_hub_changes_hands() {
        let gate = Gate::new();
        let inside = gate.enter().await.unwrap();
        gate.set(GateState::Closed);
        assert!(timeout(Duration::from_millis(1), gate.empty()).await.is_err());
        let late = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await.is_ok() }
        });
        drop(inside);
        gate.empty().await;
        // It has its turn, and waits.
        tokio::task::yield_now().await;
        assert!(!late.is_finished());
        gate.set(GateState::Open);
        assert!(late.await.unwrap(), "it goes on as if nothing had been");
        gate.empty().await;
        gate.set(GateState::Gone);
        assert!(matches!(gate.enter().await, Err(Refusal::HandedOver)));
    }

    #[tokio::test]
    async fn whoever_need_not_wait_stays_inside() {
        let gate = Gate::new();
        let mut inside = gate.enter().await.unwrap();
        gate.set(GateState::Gone);
        assert_eq!(inside.outside(async { 7 }).await.unwrap(), 7, "it was inside");
        drop(inside);
        gate.empty().await;
    }

    #[tokio::test]
    async fn whoever_waits_outside_keeps_nobody_waiting() {
        let gate = Gate::new();
        let mut inside = gate.enter().await.unwrap();
        let (reply, answer) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(async move { inside.outside(answer).await.is_ok() });
        gate.set(GateState::Closed);
        gate.empty().await;
        reply.send(()).unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "it may not enter");
        gate.set(GateState::Open);
        assert!(waiting.await.unwrap());
        gate.empty().await;
        // One that is given up outside has left once, not twice.
        let mut inside = gate.enter().await.unwrap();
        drop(timeout(Duration::from_millis(1), inside.outside(std::future::pending::<()>())).await);
        drop(inside);
        let kept = gate.enter().await.unwrap();
        assert!(timeout(Duration::from_millis(1), gate.empty()).await.is_err());
        drop(kept);
        gate.set(GateState::Gone);
    }
}
