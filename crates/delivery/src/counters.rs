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
        /// It has lasted as long as a stream may: whoever comes back is let in anew, or not.
        Aged = "aged",
        /// An administrator has cut its subject's streams.
        Revoked = "revoked",
        /// So many subjects have been cut that it could not be told whether its was among them: it
        /// may come back and be verified anew.
        Reverify = "reverify",
        /// An operator asked for it.
        Cut = "cut",
        /// Something it should be sent is gone, and it has no words for that: whoever comes back is told in
        /// the head.
        Gap = "gap",
        /// The hub is shutting down.
        Shutdown = "shutdown",
        /// The hub shut down before the client had taken what was begun.
        ShutdownForced = "shutdown_forced",
    }
}

/// What a metric is, and how those of several shards are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; summed up.
    Counter,
    /// Is of the moment; summed up.
    Gauge,
    /// Is of the moment; the greatest counts.
    Greatest,
}

/// A figure, for whoever publishes figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, without a prefix or suffix.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The figure.
    pub value: u64,
}

/// Counters of the same, one for each reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricByReason {
    /// Its name, without a prefix or suffix.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// The figures.
    pub values: Vec<(&'static str, u64)>,
}

/// Declares what delivery counts: a figure is a row, and nothing else is to be written for it but the
/// place that counts.
macro_rules! totals {
    (
        figures {
            $($(#[$meta:meta])* $figure:ident: $kind:ident $name:literal $help:literal,)+
        }
        by_reason {
            $($(#[$array_meta:meta])* $array:ident: $reason:ident $array_name:literal $array_help:literal,)+
        }
    ) => {
        /// What has been done since the start, and what is so at the moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$meta])* pub $figure: u64,)+
            $($(#[$array_meta])* pub $array: [u64; $reason::ALL.len()],)+
        }

        /// Where a shard publishes its totals once a turn; it counts in plain integers meanwhile.
        #[derive(Debug, Default)]
        pub(crate) struct SharedTotals {
            $($figure: AtomicU64,)+
            $($array: [AtomicU64; $reason::ALL.len()],)+
        }

        impl Totals {
            /// Each figure.
            pub fn metrics(&self) -> impl Iterator<Item = Metric> {
                [$(Metric {
                    name: $name,
                    help: $help,
                    kind: MetricKind::$kind,
                    value: self.$figure,
                }),+]
                .into_iter()
            }

            /// Each figure that is one for each reason.
            pub fn metrics_by_reason(&self) -> impl Iterator<Item = MetricByReason> {
                [$(MetricByReason {
                    name: $array_name,
                    help: $array_help,
                    values: $reason::ALL
                        .map(|reason| (reason.as_str(), self.$array[reason.index()]))
                        .to_vec(),
                }),+]
                .into_iter()
            }

            /// Adds another shard's figures.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$figure = MetricKind::$kind.join(self.$figure, other.$figure);)+
                $(self.$array.iter_mut().zip(other.$array).for_each(|(sum, n)| *sum += n);)+
            }
        }

        impl SharedTotals {
            pub(crate) fn set(&self, totals: &Totals) {
                $(self.$figure.store(totals.$figure, Ordering::Relaxed);)+
                $(store_all(&self.$array, &totals.$array);)+
            }

            pub(crate) fn get(&self) -> Totals {
                Totals {
                    $($figure: self.$figure.load(Ordering::Relaxed),)+
                    $($array: self.$array.each_ref().map(|n| n.load(Ordering::Relaxed)),)+
                }
            }
        }
    };
}

totals! {
    figures {
        /// Events handed to sinks whole or in part.
        deliveries: Counter "deliveries" "Events handed to subscribers",
        /// Bytes that sinks took.
        bytes: Counter "delivered_bytes" "Bytes that subscribers took",
        /// Writes that sinks were asked for.
        writes: Counter "writes" "Writes to subscribers",
        /// Keepalive comments.
        keepalives: Counter "keepalives" "Comments that kept quiet streams open",
        /// `fanfare.cursor` events.
        fresh_cursors: Counter "fresh_cursors" "Ids sent to subscribers of quiet topics",
        /// Pages read from the log for those the window could not serve.
        pages: Counter "catchup_pages" "Pages read from the log for those behind the window",
        /// Events in those pages, however few of them were taken.
        page_events: Counter "catchup_events" "Events read in those pages",
        /// Pages that readers have not begun to read; known to delivery as a whole, not to a shard.
        waiting_pages: Gauge "catchup_queue" "Pages that readers of the log have not come to",
        /// What shards have been asked and have not done.
        waiting_commands: Gauge "shard_backlog" "Joins, pages and requests that shards have not come to",
        /// How many events the slowest subscriber is behind, at the last look.
        slowest_lag: Greatest "slowest_lag_events" "How far the slowest subscriber is behind",
    }
    by_reason {
        /// Gap events, by [`GapReason::index`].
        gaps: GapReason "gaps" "Gaps told to subscribers, by reason",
        /// Closed subscribers, by [`CloseReason::index`].
        closed: CloseReason "closed" "Streams closed, by reason",
    }
}

impl SharedTotals {
    /// Counts what came after a shard had counted for the last time.
    pub(crate) fn count_closed(&self, reason: CloseReason) {
        self.closed[reason.index()].fetch_add(1, Ordering::Relaxed);
    }
}

impl MetricKind {
    fn join(self, one: u64, other: u64) -> u64 {
        match self {
            Self::Counter | Self::Gauge => one + other,
            Self::Greatest => one.max(other),
        }
    }
}

fn store_all(published: &[AtomicU64], totals: &[u64]) {
    published.iter().zip(totals).for_each(|(to, n)| to.store(*n, Ordering::Relaxed));
}
