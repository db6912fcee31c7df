//! Open files: how many sockets the system lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept back from subscribers: for publishers, health checks, the log and the system.
const RESERVE: u64 = 256;

/// Raises the soft limit of open files to the hard one, and returns the limit then in force.
pub(crate) fn raise_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// How many subscribers a limit of open files allows: all but a reserve, which is at most half.
pub(crate) fn subscribers(limit: u64) -> usize {
    let seats = limit.saturating_sub(RESERVE).max(limit / 2);
    // Beyond this, memory runs out long before descriptors.
    const MOST: u64 = 10_000_000;
    usize::try_from(seats.min(MOST)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_keep_descriptors_even_under_a_small_limit() {
        assert_eq!(subscribers(256), 128);
        assert_eq!(subscribers(20_000), 19_744);
        assert_eq!(subscribers(u64::MAX), 10_000_000);
    }
}
