//! Arrears: what is kept of a subscriber only while it has not taken everything.
//!
//! What must hold: what waits for it here is shared with all others who wait for the same, or a few
//! bytes of its own; and how much it is offered next follows from how much it took last.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

use crate::subscriber::MAX_WRITE;

/// What a subscriber is offered that took nothing when it was last offered something; little in
/// tests, so that it is met.
const MIN_OFFER: usize = if cfg!(test) { 40 } else { 4 * 1024 };

/// What a subscriber has not taken, and how it has been taking.
#[derive(Debug)]
pub(crate) struct Arrears {
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
}

/// What is to become of a blocked subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may stay, and is to be judged again then.
    Until(Instant),
    /// It has taken nothing for too long.
    Silent,
    /// It has taken something, and too little.
    TooSlow,
}

/// How much a blocked subscriber has to take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long it may take nothing; and over how long its rate is measured.
    pub(crate) timeout: Duration,
    /// The fewest bytes a second; 0 asks for nothing.
    pub(crate) rate: u64,
}

impl Arrears {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            rest: SmallVec::new(),
            offer: MAX_WRITE,
            progressed: now,
            since: now,
            taken: 0,
            open: Some(now),
        }
    }

    /// What must go out first.
    pub(crate) fn rest(&self) -> &[Bytes] {
        &self.rest
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
    pub(crate) fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        self.offer = (self.offer * 2).min(MAX_WRITE);
    }

    /// It is blocked, having taken so many of the bytes that it was offered, and so many in the
    /// whole of its turn.
    pub(crate) fn block(&mut self, taken: usize, in_turn: usize, now: Instant) {
        self.taken += taken as u64;
        self.offer = (in_turn * 2).clamp(MIN_OFFER, MAX_WRITE);
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
    pub(crate) fn saw(&mut self, bytes: u64, at: Instant) {
        self.taken = self.taken.max(bytes);
        self.progressed = self.progressed.max(at);
    }

    /// When it is to be judged.
    pub(crate) fn deadline(&self, pace: Pace) -> Instant {
        self.progressed.min(self.since) + pace.timeout
    }

    /// Whether it may stay. A rate is asked for once for each time-out: a client may take its
    /// share in bursts.
    pub(crate) fn judge(&mut self, pace: Pace, now: Instant) -> Verdict {
        if self.progressed + pace.timeout <= now {
            return Verdict::Silent;
        }
        let measured = now.saturating_duration_since(self.since);
        if measured >= pace.timeout {
            if (self.taken as f64) < pace.rate as f64 * measured.as_secs_f64() {
                return Verdict::TooSlow;
            }
            self.since = now;
            self.taken = 0;
        }
        Verdict::Until(self.deadline(pace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { timeout: Duration::from_secs(30), rate: 256 };

    fn blocked(begin: Instant) -> Arrears {
        let mut arrears = Arrears::new(begin);
        arrears.block(0, 0, begin);
        arrears
    }

    #[test]
    fn a_byte_every_29_seconds_keeps_a_seat() {
        let begin = Instant::now();
        let mut arrears = blocked(begin);
        arrears.block(1, 1, begin + Duration::from_secs(29));
        assert_eq!(arrears.judge(PACE, begin + Duration::from_secs(30)), Verdict::TooSlow);
    }

    #[test]
    fn a_slow_phone_is_thrown_out() {
        let begin = Instant::now();
        let mut arrears = blocked(begin);
        for second in 1..600 {
            let now = begin + Duration::from_secs(second);
            if second % 20 == 0 {
                // 2 KiB/s, in lumps as a kernel reports them.
                arrears.block(40 * 1024, 40 * 1024, now);
            }
            assert!(matches!(arrears.judge(PACE, now), Verdict::Until(_)), "after {second} s");
        }
    }

    #[test]
    fn time_in_which_nothing_was_offered_counts_against_it() {
        let begin = Instant::now();
        let mut arrears = blocked(begin);
        arrears.took(10_000);
        arrears.unblock(begin + Duration::from_secs(1));
        let later = begin + Duration::from_secs(1000);
        arrears.block(0, 0, later);
        assert!(matches!(arrears.judge(PACE, later + Duration::from_secs(29)), Verdict::Until(_)));
        assert_eq!(arrears.judge(PACE, later + Duration::from_secs(30)), Verdict::Silent);
    }

    #[test]
    fn a_rest_of_several_pieces_loses_or_repeats_bytes() {
        let mut arrears = Arrears::new(Instant::now());
        for piece in ["abc", "", "de", "f"] {
            arrears.push(Bytes::from_static(piece.as_bytes()));
        }
        let text = |arrears: &Arrears| arrears.rest().concat();
        arrears.advance(2);
        assert_eq!(text(&arrears), b"cdef");
        arrears.advance(2);
        assert_eq!(text(&arrears), b"ef");
        arrears.advance(2);
        assert_eq!(text(&arrears), b"");
    }
}
