//! A heartbeat interval: how long a subscriber's connection has shown that it lasts without a byte, and
//! how long it is therefore left without one.
//!
//! What must hold: it grows only by intervals that were survived with nothing else sent, and only as far
//! as the setting says. What is counted are passes of the heartbeat's walk, of which each takes at most a
//! heartbeat.

use std::time::Duration;

use crate::cursor::HeldId;

/// How many quiet intervals a connection has to survive before the next is twice as long. The system drops a
/// peer that acknowledges nothing for twice the write timeout, so with the defaults at least the first of
/// them has arrived when the fourth is over.
const SURVIVED: u8 = 4;

/// The longest interval that any may grow to, in passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongestInterval(u16);

/// One subscriber's; small, for there may be a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeartbeatInterval {
    /// Since its last heartbeat.
    passes: u16,
    /// The end of the id it held after that: another one says that something else was sent.
    held: u16,
    /// How many quiet intervals it has survived.
    survived: u8,
    /// Whether the interval is a whole one, with nothing waiting meanwhile.
    whole: bool,
}

impl LongestInterval {
    /// The longest that is no longer than `max`, where a pass takes `heartbeat`.
    pub(crate) fn of(heartbeat: Duration, max: Duration) -> Self {
        let passes = max.as_nanos() / heartbeat.as_nanos().max(1);
        Self(u16::try_from(passes).unwrap_or(u16::MAX).max(1))
    }
}

impl HeartbeatInterval {
    /// Of a subscriber that has just come.
    pub(crate) const NEW: Self = Self { passes: 0, held: 0, survived: 0, whole: false };

    /// A pass has come to it; whether its interval is over.
    pub(crate) fn pass(&mut self, longest: LongestInterval) -> bool {
        self.passes = self.passes.saturating_add(1);
        self.passes >= self.length(longest)
    }

    /// Something waits to be sent: this interval says nothing of how long the connection may be quiet.
    pub(crate) fn disturb(&mut self) {
        self.whole = false;
    }

    /// Its heartbeat is sent, to one that held the id `before` and holds `after` now.
    pub(crate) fn on_heartbeat_sent(
        &mut self,
        before: HeldId,
        after: HeldId,
        longest: LongestInterval,
    ) {
        let length = self.length(longest);
        let quiet = self.whole && self.passes >= length && self.held == end_of(before);
        (self.passes, self.whole, self.held) = (0, true, end_of(after));
        if quiet && length < longest.0 {
            self.survived += 1;
            let longer = self.length(longest);
            if longer > length {
                // Those who joined together do not stay in step; a shorter interval proves nothing.
                self.passes = fastrand::u16(..longer);
                self.whole = self.passes == 0;
            }
        }
    }

    /// In passes.
    fn length(self, longest: LongestInterval) -> u16 {
        1_u16.checked_shl((self.survived / SURVIVED).into()).unwrap_or(u16::MAX).min(longest.0)
    }
}

fn end_of(held: HeldId) -> u16 {
    held.offset().map_or(0, |offset| offset.wrapping_add(1) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: HeldId = HeldId::at(7);

    /// After how many passes each of so many heartbeats came, where nothing else is sent.
    fn intervals(longest: LongestInterval, count: usize) -> Vec<u16> {
        let mut interval = HeartbeatInterval::NEW;
        let mut passes = 0;
        let mut intervals = Vec::new();
        while intervals.len() < count {
            passes += 1;
            if interval.pass(longest) {
                interval.on_heartbeat_sent(HELD, HELD, longest);
                intervals.push(std::mem::take(&mut passes));
            }
        }
        intervals
    }

    #[test]
    fn an_interval_doubles_after_four_of_its_length_were_survived() {
        for _ in 0..50 {
            let intervals = intervals(LongestInterval(8), 40);
            // The first begins anywhere in a pass, and so does the first of each length.
            assert_eq!(intervals[..5], [1; 5]);
            let mut rest = &intervals[5..];
            for length in [2, 4] {
                let whole = rest.iter().position(|passes| *passes == length).unwrap();
                assert!(whole <= 1, "{intervals:?}");
                let next = rest.iter().skip(whole).take_while(|passes| **passes == length).count();
                // One of the next length, shortened by chance, may be as long.
                assert!((4..=5).contains(&next), "{intervals:?}");
                rest = &rest[whole + 4..];
            }
            assert!(rest[1..].iter().all(|passes| *passes == 8), "{intervals:?}");
        }
    }

    #[test]
    fn no_interval_grows_beyond_the_longest() {
        for longest in [1, 2, 3, 5, 6] {
            let intervals = intervals(LongestInterval(longest), 100);
            assert_eq!(intervals.iter().max(), Some(&longest), "{intervals:?}");
        }
        let second = Duration::from_secs(1);
        let of = |millis| LongestInterval::of(second, Duration::from_millis(millis)).0;
        assert_eq!([0, 999, 1000, 1999, 2000, 5999].map(of), [1, 1, 1, 1, 2, 5]);
        let (shortest, hour) = (Duration::from_millis(100), Duration::from_secs(3600));
        assert_eq!(LongestInterval::of(shortest, hour), LongestInterval(36_000));
        assert!(intervals(LongestInterval(36_000), 100).iter().all(|passes| *passes <= 36_000));
    }

    #[test]
    fn an_interval_in_which_something_else_was_sent_does_not_count_as_quiet() {
        let longest = LongestInterval(64);
        let mut busy = HeartbeatInterval::NEW;
        for event in 0..100 {
            assert!(busy.pass(longest), "it has grown");
            busy.on_heartbeat_sent(HeldId::at(event), HeldId::at(event), longest);
        }
        let mut blocked = HeartbeatInterval::NEW;
        for _ in 0..100 {
            assert!(blocked.pass(longest), "it has grown");
            blocked.disturb();
            blocked.on_heartbeat_sent(HELD, HELD, longest);
        }
        let mut hurried = intervals_survived(8, longest);
        assert_eq!(hurried.length(longest), 4);
        let survived = hurried.survived;
        for _ in 0..100 {
            hurried.pass(longest);
            hurried.on_heartbeat_sent(HELD, HELD, longest);
        }
        assert_eq!(
            hurried.survived, survived,
            "one that is sent a heartbeat early has proven no more"
        );
    }

    fn intervals_survived(count: u8, longest: LongestInterval) -> HeartbeatInterval {
        let mut interval = HeartbeatInterval::NEW;
        while interval.survived < count {
            if interval.pass(longest) {
                interval.on_heartbeat_sent(HELD, HELD, longest);
            }
        }
        interval
    }
}
