//! When to order a certificate: early enough that an authority may be away for weeks, and never so
//! often that it would mind.

use std::time::{Duration, SystemTime};

use crate::Validity;

/// How long to wait after a first failure; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(120);
/// The longest wait. Let's Encrypt allows five failures an hour.
const LAST_RETRY: Duration = Duration::from_secs(3600);

/// When a certificate that is kept is to be renewed: once two thirds of its time have passed, less
/// up to a thirtieth by chance, so that a fleet does not renew in one beat.
pub(super) fn renewal(validity: Validity) -> SystemTime {
    let lifetime = validity.until.duration_since(validity.from).unwrap_or_default();
    validity.from + lifetime * 2 / 3 - (lifetime / 30).mul_f64(fastrand::f64())
}

/// The same of one that has just been issued. Where an authority issues what is due already, a
/// third of what is left passes first.
pub(super) fn first_renewal(validity: Validity, now: SystemTime) -> SystemTime {
    let left = validity.until.duration_since(now).unwrap_or(LAST_RETRY);
    renewal(validity).max(now + left / 3)
}

/// How long to wait after so many failures in a row, a quarter more or less by chance.
pub(super) fn retry(failures: u32) -> Duration {
    let doubled = FIRST_RETRY * 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    doubled.min(LAST_RETRY).mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn validity(from: Duration, lifetime: Duration) -> Validity {
        let from = UNIX_EPOCH + from;
        Validity { from, until: from + lifetime }
    }

    #[test]
    fn no_certificate_runs_out_while_the_authority_is_away() {
        for lifetime in [6 * DAY, 45 * DAY, 90 * DAY] {
            let validity = validity(1000 * DAY, lifetime);
            for _ in 0..1000 {
                let issued = validity.from + DAY / 24;
                for due in [renewal(validity), first_renewal(validity, issued)] {
                    let left = validity.until.duration_since(due).unwrap();
                    assert!(left >= lifetime / 3 && left <= lifetime * 2 / 5, "{left:?}");
                }
            }
        }
    }

    #[test]
    fn an_authority_that_issues_what_is_due_is_not_asked_without_end() {
        let old = validity(1000 * DAY, 90 * DAY);
        let now = old.until - DAY;
        assert!(first_renewal(old, now) >= now + DAY / 3);
        let over = old.until + DAY;
        assert!(first_renewal(old, over) > over);
    }

    #[test]
    fn failures_do_not_use_up_what_an_authority_allows() {
        for _ in 0..1000 {
            let waits: Vec<_> = (1..6).map(retry).collect();
            assert!(waits[0] >= Duration::from_secs(90), "{waits:?}");
            assert!(waits.iter().sum::<Duration>() > Duration::from_secs(2700), "{waits:?}");
            assert!(retry(u32::MAX) <= LAST_RETRY * 5 / 4);
            assert!(retry(u32::MAX) >= LAST_RETRY * 3 / 4);
        }
    }
}
