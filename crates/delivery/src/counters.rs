//! Counters: what a shard has done, readable from other threads at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_hub::GapReason;

/// Why a subscriber was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client went away.
    ClientGone,
    /// The connection failed.
    ConnectionError,
    /// The client took no byte for the write timeout.
    WriteTimeout,
    /// The client kept sending on a stream that only the hub speaks on.
    ClientTalks,
    /// Its right to listen has ended.
    Expired,
    /// An administrator has cut its subject's streams.
    Revoked,
    /// An operator asked for it.
    Cut,
    /// The hub is shutting down.
    Shutdown,
    /// The hub shut down before the client had taken what was begun.
    ShutdownForced,
}

impl CloseReason {
    /// Every reason, in the order of [`CloseReason::index`].
    pub const ALL: [Self; 9] = [
        Self::ClientGone,
        Self::ConnectionError,
        Self::WriteTimeout,
        Self::ClientTalks,
        Self::Expired,
        Self::Revoked,
        Self::Cut,
        Self::Shutdown,
        Self::ShutdownForced,
    ];

    /// As metrics name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::ConnectionError => "connection_error",
            Self::WriteTimeout => "write_timeout",
            Self::ClientTalks => "client_talks",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Cut => "cut",
            Self::Shutdown => "shutdown",
            Self::ShutdownForced => "shutdown_forced",
        }
    }

    /// A number for arrays of counters.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Sums since the start, and the one figure that is of the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events handed to sinks whole or in part.
    pub deliveries: u64,
    /// Bytes that sinks took.
    pub bytes: u64,
    /// Writes that sinks were asked for.
    pub writes: u64,
    /// Keepalive comments.
    pub keepalives: u64,
    /// `fanfare.cursor` events.
    pub fresh_cursors: u64,
    /// Pages read from the log for those the window could not serve.
    pub pages: u64,
    /// Gap events, by [`GapReason::index`].
    pub gaps: [u64; GapReason::ALL.len()],
    /// Closed subscribers, by [`CloseReason::index`].
    pub closed: [u64; CloseReason::ALL.len()],
    /// How many events the slowest subscriber is behind, at the last look.
    pub slowest_lag: u64,
}

impl Totals {
    /// Adds another shard's figures; of the lags the greater counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.writes += other.writes;
        self.keepalives += other.keepalives;
        self.fresh_cursors += other.fresh_cursors;
        self.pages += other.pages;
        self.gaps.iter_mut().zip(other.gaps).for_each(|(sum, n)| *sum += n);
        self.closed.iter_mut().zip(other.closed).for_each(|(sum, n)| *sum += n);
        self.slowest_lag = self.slowest_lag.max(other.slowest_lag);
    }
}

/// Where a shard publishes its totals once a turn; it counts in plain integers meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Published {
    deliveries: AtomicU64,
    bytes: AtomicU64,
    writes: AtomicU64,
    keepalives: AtomicU64,
    fresh_cursors: AtomicU64,
    pages: AtomicU64,
    gaps: [AtomicU64; GapReason::ALL.len()],
    closed: [AtomicU64; CloseReason::ALL.len()],
    slowest_lag: AtomicU64,
}

impl Published {
    pub(crate) fn set(&self, totals: &Totals) {
        self.deliveries.store(totals.deliveries, Ordering::Relaxed);
        self.bytes.store(totals.bytes, Ordering::Relaxed);
        self.writes.store(totals.writes, Ordering::Relaxed);
        self.keepalives.store(totals.keepalives, Ordering::Relaxed);
        self.fresh_cursors.store(totals.fresh_cursors, Ordering::Relaxed);
        self.pages.store(totals.pages, Ordering::Relaxed);
        store_all(&self.gaps, &totals.gaps);
        store_all(&self.closed, &totals.closed);
        self.slowest_lag.store(totals.slowest_lag, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Totals {
        Totals {
            deliveries: self.deliveries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            keepalives: self.keepalives.load(Ordering::Relaxed),
            fresh_cursors: self.fresh_cursors.load(Ordering::Relaxed),
            pages: self.pages.load(Ordering::Relaxed),
            gaps: self.gaps.each_ref().map(|n| n.load(Ordering::Relaxed)),
            closed: self.closed.each_ref().map(|n| n.load(Ordering::Relaxed)),
            slowest_lag: self.slowest_lag.load(Ordering::Relaxed),
        }
    }
}

fn store_all(published: &[AtomicU64], totals: &[u64]) {
    published.iter().zip(totals).for_each(|(to, n)| to.store(*n, Ordering::Relaxed));
}
