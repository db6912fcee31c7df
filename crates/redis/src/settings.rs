//! What a node has to be told about its Redis.

use std::time::Duration;

use fanfare_log::Retention;

use crate::{Namespace, RedisUrl};

/// Settings of the engine. [`RedisSettings::new`] fills in the defaults.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where Redis is.
    pub url: RedisUrl,
    /// Whose events these are.
    pub namespace: Namespace,
    /// The authority that signed the servers' certificates, in PEM, where it is not one the
    /// system trusts.
    pub certificate_authority: Option<Vec<u8>>,
    /// How much the stream keeps. Count and bytes are approximate: Redis trims whole blocks of
    /// about a hundred entries, and bytes are turned into a count by the measured size of its oldest
    /// ten thousand blocks.
    /// Nodes of one namespace should agree; where they do not, the smallest wins.
    pub retention: Retention,
    /// How large a message may be, in bytes: so many fewer entries are asked for at once. Default 1 MiB.
    pub max_message: usize,
    /// How long an idempotency key is remembered. Default 10 minutes.
    pub idempotency_window: Duration,
    /// How many idempotency keys this node leaves in Redis at most within a window; further ones
    /// are refused. Default 1,000,000.
    pub idempotency_keys: usize,
    /// How long a publish may take before its publisher is answered. Default 1.5 s.
    pub publish_deadline: Duration,
    /// The most batches that wait for Redis at once. Default 4,096.
    pub max_waiting: usize,
    /// The most bytes those batches may hold together: topics, messages, extras, and 128 bytes for
    /// each event. Default 64 MiB.
    pub max_waiting_bytes: usize,
    /// How many replicas must have a batch before it is acknowledged (`WAIT`). With fewer in
    /// time, its outcome is unknown. Default 0.
    pub wait_replicas: u32,
    /// How long opening and fencing a connection, or one answer, may take before the server
    /// counts as silent. Default 1.5 s.
    pub response_timeout: Duration,
    /// How long an event this node published may take to come back through the tail before the
    /// node is not ready. Default 3 s.
    pub echo_deadline: Duration,
    /// The most connections that serve [`fanfare_log::EventLog::read`]. Default 4.
    pub readers: usize,
    /// How long one read may take, waiting for a connection included. Default 5 s.
    pub read_deadline: Duration,
}

impl RedisSettings {
    /// The defaults, for a Redis and a namespace.
    pub fn new(url: RedisUrl, namespace: Namespace) -> Self {
        Self {
            url,
            namespace,
            certificate_authority: None,
            retention: Retention {
                count: 100_000,
                bytes: 256 << 20,
                age: Duration::from_secs(24 * 3600),
            },
            max_message: 1 << 20,
            idempotency_window: Duration::from_secs(600),
            idempotency_keys: 1_000_000,
            publish_deadline: Duration::from_millis(1500),
            max_waiting: 4096,
            max_waiting_bytes: 64 << 20,
            wait_replicas: 0,
            response_timeout: Duration::from_millis(1500),
            echo_deadline: Duration::from_secs(3),
            readers: 4,
            read_deadline: Duration::from_secs(5),
        }
    }
}
