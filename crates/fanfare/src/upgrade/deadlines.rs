//! How long each step of an upgrade may take.

use std::time::Duration;

/// How long the new process may take to say which formats it knows.
pub(super) const HELLO: Duration = Duration::from_secs(5);
/// How long it may take to read its settings and certificates. Everyone is served meanwhile.
pub(super) const READY: Duration = Duration::from_secs(30);
/// How long requests may take that were being answered when no new ones were let in.
pub(super) const SETTLE: Duration = Duration::from_millis(100);
/// How long the answers to requests may take that were inside until then.
pub(super) const ANSWERED: Duration = Duration::from_millis(10);
/// How long it may take until no request is being answered and every stream is out of its shard.
pub(super) const QUIET: Duration = Duration::from_secs(2);
/// How long the log may take to write and sync what was handed in.
pub(super) const FREEZE: Duration = Duration::from_secs(2);
/// How long one message may take, while everyone waits.
pub(super) const STEP: Duration = Duration::from_secs(5);
/// How long the client that asked may take to read the last report, before anything else is done.
pub(super) const LAST_REPORT: Duration = Duration::from_secs(5);
/// How long the new process waits for the old one's next message: longer than the old one may wait for anything.
pub(super) const NEXT_MESSAGE: Duration = Duration::from_secs(60);
