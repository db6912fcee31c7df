//! Counters: what a shard has done, readable from other threads at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_hub::{GapReason, reasons};

reasons! {
    /// Why a subscriber was closed.
    pub enum CloseReason {
        /// The client went away.
        ClientGone = "client_gone",
        /// The connection failed.
        ConnectionError = "connection_error",
        /// The client took no byte for the write timeout.
        WriteTimeout = "write_timeout",
        /// The client took fewer bytes a second than it must while it is behind.
        TooSlow = "too_slow",
        /// The client kept sending on a stream that only the hub speaks on.
        ClientTalks = "client_talks",
        /// Its right to listen has ended.
        Expired = "expired",
        /// An administrator has cut its subject's streams.
        Revoked = "revoked",
        /// So many subjects have been cut that it could not be told whether its was among them: it
        /// may come back and be verified anew.
        Reverify = "reverify",
        /// An operator asked for it.
        Cut = "cut",
        /// The hub is shutting down.
        Shutdown = "shutdown",
        /// The hub shut down before the client had taken what was begun.
        ShutdownForced = "shutdown_forced",
    }
}

/// Declares what a shard counts: the plain integers it counts in, the atomics it publishes them in, and
/// what metrics call them, whose help is the documentation. Like [`reasons!`], so that nothing is counted
/// and not published, not summed up or not shown.
macro_rules! totals {
    ($(#[doc = $help:literal] $sum:ident = $name:literal,)+) => {
        /// Sums since the start, and the one figure that is of the moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Totals {
            $(#[doc = $help] pub $sum: u64,)+
            /// Gap events, by [`GapReason::index`].
            pub gaps: [u64; GapReason::ALL.len()],
            /// Closed subscribers, by [`CloseReason::index`].
            pub closed: [u64; CloseReason::ALL.len()],
            /// How many events the slowest subscriber is behind, at the last look.
            pub slowest_lag: u64,
        }

        /// Where a shard publishes its totals once a turn; it counts in plain integers meanwhile.
        #[derive(Debug, Default)]
        pub(crate) struct Published {
            $($sum: AtomicU64,)+
            gaps: [AtomicU64; GapReason::ALL.len()],
            closed: [AtomicU64; CloseReason::ALL.len()],
            slowest_lag: AtomicU64,
        }

        impl Totals {
            /// Adds another shard's figures; of the lags the greater counts.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$sum += other.$sum;)+
                self.gaps.iter_mut().zip(other.gaps).for_each(|(sum, n)| *sum += n);
                self.closed.iter_mut().zip(other.closed).for_each(|(sum, n)| *sum += n);
                self.slowest_lag = self.slowest_lag.max(other.slowest_lag);
            }

            /// The sums, each with its name and its help as metrics have them.
            pub fn sums(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($name, $help.trim_start(), self.$sum)),+].into_iter()
            }
        }

        impl Published {
            /// Counts what came after a shard had counted for the last time.
            pub(crate) fn closed(&self, reason: CloseReason) {
                self.closed[reason.index()].fetch_add(1, Ordering::Relaxed);
            }

            pub(crate) fn set(&self, totals: &Totals) {
                $(self.$sum.store(totals.$sum, Ordering::Relaxed);)+
                store_all(&self.gaps, &totals.gaps);
                store_all(&self.closed, &totals.closed);
                self.slowest_lag.store(totals.slowest_lag, Ordering::Relaxed);
            }

            pub(crate) fn get(&self) -> Totals {
                Totals {
                    $($sum: self.$sum.load(Ordering::Relaxed),)+
                    gaps: self.gaps.each_ref().map(|n| n.load(Ordering::Relaxed)),
                    closed: self.closed.each_ref().map(|n| n.load(Ordering::Relaxed)),
                    slowest_lag: self.slowest_lag.load(Ordering::Relaxed),
                }
            }
        }
    };
}

totals! {
    /// Events handed to subscribers
    deliveries = "deliveries",
    /// Bytes that subscribers took
    bytes = "delivered_bytes",
    /// Writes to subscribers
    writes = "writes",
    /// Comments that kept quiet streams open
    keepalives = "keepalives",
    /// Ids sent to subscribers of quiet topics
    fresh_cursors = "fresh_cursors",
    /// Pages read from the log for those behind the window
    pages = "catchup_pages",
    /// Events read in those pages
    page_events = "catchup_events",
}

fn store_all(published: &[AtomicU64], totals: &[u64]) {
    published.iter().zip(totals).for_each(|(to, n)| to.store(*n, Ordering::Relaxed));
}
