//! Naming epochs, so that no two logs share one.
//!
//! What must hold: an epoch is later than every earlier one of its log, whatever the clock does;
//! and it is not the clock alone that names it, since two machines may start in the same
//! millisecond, and a backup may be restored behind a clock that was set back.

use std::hash::{BuildHasher as _, RandomState};

use fanfare_event::Timestamp;

/// What one millisecond is worth: the last six digits are chance.
const MILLISECOND: u64 = 1_000_000;

/// The last millisecond that names an epoch, in the year 2255: numbers must be left after it.
const LAST_MILLISECOND: u64 = 9_000_000_000_000;

/// The longest step from one epoch to the next where the clock is of no help: some four seconds
/// of them, so that a clock that was set back is soon ahead again.
const LONGEST_STEP: u64 = 1 << 32;

/// The epoch of a log that begins or goes on at `now`, where `last` is the greatest epoch that is
/// known of it; 0 where none is. `random` is any number that others cannot have drawn too.
pub fn next_epoch(last: u64, now: Timestamp, random: u64) -> u64 {
    let now = now.as_millis().min(LAST_MILLISECOND);
    let named = now * MILLISECOND + random % MILLISECOND;
    if named > last { named } else { last.saturating_add(1 + random % LONGEST_STEP) }
}

/// A random number of this process, for [`next_epoch`].
pub(crate) fn epoch_entropy() -> u64 {
    // Its keys are the operating system's random numbers.
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_483_922_055);

    #[test]
    fn two_logs_that_begin_in_the_same_millisecond_have_epochs_of_their_own() {
        let drawn: HashSet<_> = (0..1000).map(|random| next_epoch(0, NOW, random)).collect();
        assert_eq!(drawn.len(), 1000);
        assert_eq!(next_epoch(0, NOW, 42), 1_795_483_922_055_000_042);
        assert_ne!(epoch_entropy(), epoch_entropy());
    }

    #[test]
    fn two_restored_copies_part_though_the_clock_was_set_back() {
        let last = next_epoch(0, NOW, 7);
        let back = Timestamp(NOW.as_millis() - 86_400_000);
        let (one, other) = (next_epoch(last, back, 1 << 20), next_epoch(last, back, 1 << 30));
        assert!(one > last && other > last && one != other);
    }

    #[test]
    fn an_epoch_of_13_digits_is_before_every_new_one() {
        assert!(next_epoch(1_795_483_922_056, NOW, 0) > 1_000_000_000_000_000_000);
    }

    proptest! {
        #[test]
        fn an_epoch_is_later_than_the_last_and_leaves_numbers_after_it(
            last in 0..1_u64 << 62, now: u64, random: u64,
        ) {
            let epoch = next_epoch(last, Timestamp(now), random);
            prop_assert!(epoch > last && epoch < 1 << 63);
        }
    }
}
