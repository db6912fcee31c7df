//! Soundings: how far the tail has been told of what Redis said that it had.
//!
//! What must hold: a sounding is counted before its question is sent, and is passed only once the tail has been told
//! of all that was found. So if one is passed that began after some moment, the tail knows all that Redis had at that
//! moment.

use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fanfare_event::Position;
use fanfare_log::Hearing;
use tokio::sync::watch;

/// The soundings of one tail: each is a fence of its link.
pub(crate) struct Soundings {
    state: Mutex<SoundingState>,
    /// The latest that was passed.
    passed: watch::Sender<u64>,
}

#[derive(Default)]
struct SoundingState {
    /// How many have begun.
    begun: u64,
    /// One that found more than was heard, and what it found. It is kept until that is heard, whatever later ones find:
    /// a node that is always behind gets through one.
    open: Option<(u64, Position)>,
}

impl Soundings {
    /// One that nobody waits for.
    pub(crate) const NONE: u64 = 0;

    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), passed: watch::Sender::new(Self::NONE) }
    }

    /// One begins: Redis is about to be asked what it has.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = self.lock();
        state.begun += 1;
        state.begun
    }

    /// This one found the stream to end at `last`, when the tail had been told of everything up to `heard`.
    pub(crate) fn found(&self, number: u64, last: Position, heard: Position) {
        let mut state = self.lock();
        // What another server had may never be heard of, and is no evidence of what this one has.
        state.open.take_if(|(_, open)| open.epoch != last.epoch || *open > last);
        if heard >= last {
            self.pass(number);
        } else {
            state.open.get_or_insert((number, last));
        }
    }

    /// The tail has been told of everything up to `heard`.
    pub(crate) fn heard(&self, heard: Position) {
        if let Some((number, _)) = self.lock().open.take_if(|(_, open)| *open <= heard) {
            self.pass(number);
        }
    }

    /// Resolves once the tail has been told of all that Redis has now.
    pub(crate) fn next_passed(&self) -> Hearing {
        let (begun, mut passed) = (self.lock().begun, self.passed.subscribe());
        Box::pin(async move {
            if passed.wait_for(|passed| *passed > begun).await.is_err() {
                // Nobody hears any more.
                pending::<()>().await;
            }
        })
    }

    fn pass(&self, number: u64) {
        self.passed.send_if_modified(|passed| {
            let later = number > *passed;
            *passed = number.max(*passed);
            later
        });
    }

    fn lock(&self) -> MutexGuard<'_, SoundingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position::new(epoch, seq)
    }

    fn is_over(hearing: &mut Hearing) -> bool {
        hearing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn only_what_was_asked_later_and_heard_whole_is_evidence() {
        let soundings = Soundings::new();
        let before = soundings.begin();
        let mut hearing = soundings.next_passed();
        soundings.found(before, at(7, 5), at(7, 5));
        assert!(!is_over(&mut hearing), "it was asked before");
        let after = soundings.begin();
        soundings.found(after, at(7, 9), at(7, 5));
        soundings.heard(at(7, 8));
        assert!(!is_over(&mut hearing), "one is still to be heard");
        soundings.heard(at(7, 9));
        assert!(is_over(&mut hearing));
    }

    #[test]
    fn a_node_that_is_always_behind_gets_through() {
        let soundings = Soundings::new();
        let mut hearing = soundings.next_passed();
        for seq in 1..=3 {
            let number = soundings.begin();
            soundings.found(number, at(7, 10 * seq), at(7, 10 * seq - 9));
        }
        assert!(!is_over(&mut hearing));
        soundings.heard(at(7, 10));
        assert!(is_over(&mut hearing), "it has heard all there was when the first was asked");
    }

    #[test]
    fn what_a_replaced_server_had_is_not_waited_for() {
        let soundings = Soundings::new();
        let number = soundings.begin();
        soundings.found(number, at(9, 0), at(7, 5));
        let mut hearing = soundings.next_passed();
        let number = soundings.begin();
        soundings.found(number, at(8, 2), at(7, 5));
        soundings.heard(at(8, 2));
        assert!(is_over(&mut hearing));
    }

    #[test]
    fn a_log_that_has_ended_says_nothing() {
        let soundings = Soundings::new();
        let mut hearing = soundings.next_passed();
        drop(soundings);
        assert!(!is_over(&mut hearing));
    }
}
