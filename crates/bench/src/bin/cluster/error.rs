//! What can come in the way of measuring two nodes.

use std::io;

use fanfare_bench::{BenchError, BenchReport};

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("cannot start {what}: {source}")]
    Start { what: String, source: io::Error },
    #[error("{0} does not answer in time")]
    Silent(String),
    #[error("a client: {0}")]
    Client(#[from] io::Error),
    #[error(transparent)]
    Run(#[from] BenchError),
    #[error("messages were lost, duplicated or reordered:\n{0}")]
    Unclean(Box<BenchReport>),
}
