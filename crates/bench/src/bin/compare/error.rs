//! What can come in the way of a comparison.

use std::io;
use std::path::PathBuf;

use fanfare_bench::BenchError;

/// Why the comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error("cannot keep the client on core {core}: {source}")]
    Core { core: usize, source: io::Error },
    #[error("cannot write {path}: {source}", path = path.display())]
    Results { path: PathBuf, source: io::Error },
    #[error("cannot start {binary}: {source}", binary = binary.display())]
    Start { binary: PathBuf, source: io::Error },
    #[error("{binary} printed no URL; its log is {log}", binary = binary.display(), log = log.display())]
    NoUrl { binary: PathBuf, log: PathBuf },
    #[error("{scenario}, {contender}: {source}")]
    Run { scenario: &'static str, contender: &'static str, source: BenchError },
}
