//! Backpressure: what is kept of a subscriber only while it has not taken everything.
//!
//! What must hold: what waits for it here is shared with all others who wait for the same, or a few
//! bytes of its own; and how much it is offered next follows from how much it took last.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

use crate::settings::StepLimits;

/// What a subscriber has not taken, and how it has been taking.
#[derive(Debug)]
pub(crate) struct Backpressure {
    /// What must go out before the next frame: the rest of one that was begun, the stream's
    /// beginning, its end.
    rest: SmallVec<[Bytes; 2]>,
    /// How many bytes it is worth offering at once.
    offer: usize,
    /// When it last took something or became blocked.
    progressed: Instant,
    /// Since when `taken` has been counted, times in which it was not blocked left out.
    since: Instant,
    taken: u64,
    /// Since when it has not been blocked.
    open: Option<Instant>,
    /// It knows that something may be missing of what it is catching up with, and has been sent no event since.
    /// Whoever moves to another process is taken for one that does not.
    pub(crate) gap_told: bool,
}

/// What is to become of a blocked subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StallVerdict {
    /// It may stay, and is to be judged again then.
    Until(Instant),
    /// It has taken nothing for too long.
    Silent,
    /// It has taken something, and too little.
    TooSlow,
}

/// How much a blocked subscriber has to take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallPolicy {
    /// How long it may take nothing; and over how long its rate is measured.
    pub(crate) timeout: Duration,
    /// The fewest bytes a second; 0 asks for nothing.
    pub(crate) rate: u64,
}

impl Backpressure {
    pub(crate) fn new(now: Instant, limits: &StepLimits) -> Self {
        Self {
            rest: SmallVec::new(),
            offer: limits.write_bytes,
            progressed: now,
            since: now,
            taken: 0,
            open: Some(now),
            gap_told: false,
        }
    }

    /// What must go out first.
    pub(crate) fn rest(&self) -> &[Bytes] {
        &self.rest
    }

    /// The same, for whoever takes the subscriber over.
    pub(crate) fn into_rest(self) -> Vec<Bytes> {
        self.rest.into_vec()
    }

    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.rest.push(bytes);
        }
    }

    /// So many bytes of what must go out first have gone.
    pub(crate) fn advance(&mut self, mut bytes: usize) {
        let gone = self.rest.iter().take_while(|piece| {
            let whole = bytes >= piece.len();
            bytes -= if whole { piece.len() } else { 0 };
            whole
        });
        let gone = gone.count();
        self.rest.drain(..gone);
        if let Some(piece) = self.rest.first_mut() {
            piece.advance(bytes);
        }
    }

    /// How many bytes it is worth offering at once.
    pub(crate) fn offer(&self) -> usize {
        self.offer
    }

    /// It took all of so many bytes.
    pub(crate) fn took(&mut self, bytes: usize, limits: &StepLimits) {
        self.taken += bytes as u64;
        self.offer = (self.offer * 2).min(limits.write_bytes);
    }

    /// It is blocked, having taken so many of the bytes that it was offered, and so many in the
    /// whole of its turn.
    pub(crate) fn block(
        &mut self,
        taken: usize,
        in_turn: usize,
        now: Instant,
        limits: &StepLimits,
    ) {
        self.taken += taken as u64;
        self.offer = (in_turn * 2).clamp(limits.min_offer, limits.write_bytes);
        if let Some(open) = self.open.take() {
            self.since += now.saturating_duration_since(open);
            self.progressed = now;
        } else if in_turn > 0 {
            self.progressed = now;
        }
    }

    /// It is not blocked any more.
    pub(crate) fn unblock(&mut self, now: Instant) {
        self.open.get_or_insert(now);
    }

    /// It has been seen to take so many bytes since it was last judged, the last of them then, of
    /// what had counted as taken when it was handed over.
    pub(crate) fn passed_on(&mut self, bytes: u64, at: Instant) {
        self.taken = self.taken.max(bytes);
        self.progressed = self.progressed.max(at);
    }

    /// When it is to be judged.
    pub(crate) fn deadline(&self, policy: StallPolicy) -> Instant {
        self.progressed.min(self.since) + policy.timeout
    }

    /// Whether it may stay. A rate is asked for once for each time-out: a client may take its
    /// share in bursts.
    pub(crate) fn judge(&mut self, policy: StallPolicy, now: Instant) -> StallVerdict {
        if self.progressed + policy.timeout <= now {
            return StallVerdict::Silent;
        }
        let measured = now.saturating_duration_since(self.since);
        if measured >= policy.timeout {
            if (self.taken as f64) < policy.rate as f64 * measured.as_secs_f64() {
                return StallVerdict::TooSlow;
            }
            self.since = now;
            self.taken = 0;
        }
        StallVerdict::Until(self.deadline(policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: StallPolicy = StallPolicy { timeout: Duration::from_secs(30), rate: 256 };

    const LIMITS: StepLimits = StepLimits::SMALL;

    fn blocked(begin: Instant) -> Backpressure {
        let mut backpressure = Backpressure::new(begin, &LIMITS);
        backpressure.block(0, 0, begin, &LIMITS);
        backpressure
    }

    #[test]
    fn a_byte_every_29_seconds_is_too_slow() {
        let begin = Instant::now();
        let mut backpressure = blocked(begin);
        backpressure.block(1, 1, begin + Duration::from_secs(29), &LIMITS);
        assert_eq!(
            backpressure.judge(POLICY, begin + Duration::from_secs(30)),
            StallVerdict::TooSlow
        );
    }

    #[test]
    fn a_slow_phone_may_stay() {
        let begin = Instant::now();
        let mut backpressure = blocked(begin);
        for second in 1..600 {
            let now = begin + Duration::from_secs(second);
            if second % 20 == 0 {
                // 2 KiB/s, in lumps as a kernel reports them.
                backpressure.block(40 * 1024, 40 * 1024, now, &LIMITS);
            }
            assert!(
                matches!(backpressure.judge(POLICY, now), StallVerdict::Until(_)),
                "after {second} s"
            );
        }
    }

    #[test]
    fn time_in_which_nothing_was_offered_does_not_count() {
        let begin = Instant::now();
        let mut backpressure = blocked(begin);
        backpressure.took(10_000, &LIMITS);
        backpressure.unblock(begin + Duration::from_secs(1));
        let later = begin + Duration::from_secs(1000);
        backpressure.block(0, 0, later, &LIMITS);
        assert!(matches!(
            backpressure.judge(POLICY, later + Duration::from_secs(29)),
            StallVerdict::Until(_)
        ));
        assert_eq!(
            backpressure.judge(POLICY, later + Duration::from_secs(30)),
            StallVerdict::Silent
        );
    }

    #[test]
    fn a_rest_of_several_pieces_goes_out_once_and_whole() {
        let mut backpressure = Backpressure::new(Instant::now(), &LIMITS);
        for piece in ["abc", "", "de", "f"] {
            backpressure.push(Bytes::from_static(piece.as_bytes()));
        }
        let text = |backpressure: &Backpressure| backpressure.rest().concat();
        backpressure.advance(2);
        assert_eq!(text(&backpressure), b"cdef");
        backpressure.advance(2);
        assert_eq!(text(&backpressure), b"ef");
        backpressure.advance(2);
        assert_eq!(text(&backpressure), b"");
    }
}
