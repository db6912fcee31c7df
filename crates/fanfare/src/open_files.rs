//! Open files: how many sockets the system lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept back from subscribers: for publishers, health checks, the log and the system.
const RESERVE: u64 = 256;

/// What is kept back from connections of any kind: for the log and the system.
const OWN: u64 = 64;
/// Beyond this, memory runs out long before descriptors.
const MOST: u64 = 10_000_000;

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
    usize::try_from(seats.min(MOST)).unwrap_or(usize::MAX)
}

/// How many connections a limit of open files allows, those that carry streams included.
pub(crate) fn connections(limit: u64) -> usize {
    let connections = limit.saturating_sub(OWN).max(limit / 2);
    usize::try_from(connections.min(MOST)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_keep_descriptors_even_under_a_small_limit() {
        assert_eq!((subscribers(256), connections(256)), (128, 192));
        assert_eq!(subscribers(20_000), 19_744);
        assert_eq!(subscribers(u64::MAX), 10_000_000);
    }
}
