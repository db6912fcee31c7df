//! The lifecycle: from serving to stopping, as every connection is told of it.

/// How far the hub is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifecycle {
    /// It is not on its way.
    Serving,
    /// Streams are being closed. Whoever comes is answered all the same, as one who must come back.
    Draining,
    /// Nobody comes any more, and what was begun is finished.
    Stopping,
}
