//! Metrics: what `/metrics` says, in the OpenMetrics text format.
//!
//! A metric is one row. What is counted here is a row of [`counters!`]; what somebody else knows is a
//! line in their [`MetricSource`]; why something is refused is a variant of [`RefusalReason`].

mod carried;
mod latencies;
mod observed;
mod reason;
mod resident_memory;
mod source;
mod upgrades;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_delivery::Delivery;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_hub::Hub;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Registry, Unit};

use self::carried::{CarriedCounters, CounterSnapshot};
use self::latencies::Latencies;
pub(crate) use self::latencies::LatencySnapshot;
use self::observed::Observed;
pub use self::reason::RefusalReason;
pub(crate) use self::resident_memory::resident_memory;
pub use self::source::{MetricSource, Rows};
pub use self::upgrades::{LastUpgrade, Upgrades};

/// What is counted on the way of requests, and the registry that reads everything.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    own: Arc<Own>,
}

/// Declares the counters of this module: what each is called here, its name in the text, and its help,
/// which is its documentation.
macro_rules! counters {
    ($(#[doc = $help:literal] $field:ident = $name:literal,)+) => {
        #[derive(Debug, Default)]
        struct Counters {
            $(#[doc = $help] $field: AtomicU64,)+
        }

        /// What has been counted up to one moment.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct Counted {
            $(#[doc = $help] pub(crate) $field: u64,)+
        }

        impl Counters {
            fn read(&self) -> Counted {
                Counted { $($field: self.$field.load(Ordering::Relaxed),)+ }
            }
        }

        impl MetricSource for Counters {
            fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
                let counted = self.read();
                $(rows.counter($name, $help.trim_start(), counted.$field)?;)+
                Ok(())
            }
        }
    };
}

counters! {
    /// Events accepted.
    published_events = "publishes",
    /// Bytes of messages accepted.
    published_bytes = "published_bytes",
    /// Requests answered from their idempotency key, publishing nothing.
    repeated_publishes = "repeated_publishes",
}

/// What is counted here.
#[derive(Debug)]
struct Own {
    counters: Counters,
    publish_duration: Latencies,
    /// By [`RefusalReason::index`].
    refused: [AtomicU64; RefusalReason::ALL.len()],
    /// What the process before had counted.
    carried: CarriedCounters,
    /// What was shown when it was last asked for.
    shown: Mutex<CounterSnapshot>,
    upgrades: Upgrades,
}

/// Everything, in the order of the text.
#[derive(Debug)]
struct All {
    own: Arc<Own>,
    sources: Vec<Box<dyn MetricSource>>,
}

impl Metrics {
    /// Of this hub and its delivery, and of whoever else has figures.
    pub fn new(
        hub: Arc<Hub>,
        delivery: Arc<Delivery>,
        mut others: Vec<Box<dyn MetricSource>>,
    ) -> Self {
        let own = Arc::new(Own {
            counters: Counters::default(),
            publish_duration: Latencies::new(),
            refused: [const { AtomicU64::new(0) }; RefusalReason::ALL.len()],
            carried: CarriedCounters::default(),
            shown: Mutex::default(),
            upgrades: Upgrades::default(),
        });
        others.push(Box::new(Observed { hub, delivery }));
        let mut registry = Registry::with_prefix("fanfare");
        registry.register_collector(Box::new(All { own: Arc::clone(&own), sources: others }));
        Self { registry, own }
    }

    /// Counts a publish that was accepted. `took` is from the request's last byte on.
    pub(crate) fn published(&self, events: usize, bytes: usize, took: Duration) {
        let Counters { published_events, published_bytes, .. } = &self.own.counters;
        published_events.fetch_add(events as u64, Ordering::Relaxed);
        published_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.own.publish_duration.observe(took);
    }

    /// Counts a publish that was answered from its idempotency key.
    pub(crate) fn repeated(&self) {
        self.own.counters.repeated_publishes.fetch_add(1, Ordering::Relaxed);
    }

    /// What is counted of upgrades.
    pub fn upgrades(&self) -> &Upgrades {
        &self.own.upgrades
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, reason: RefusalReason) {
        self.own.refused[reason.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// What has been counted here so far.
    pub(crate) fn counted(&self) -> Counted {
        self.own.counters.read()
    }

    /// How often each reason to refuse has applied so far.
    pub(crate) fn refusals(&self) -> [(&'static str, u64); RefusalReason::ALL.len()] {
        self.own.refusals()
    }

    /// How long publishes have taken so far.
    pub(crate) fn latencies(&self) -> LatencySnapshot {
        self.own.publish_duration.tally()
    }

    /// Writes down what all counters have come to.
    pub fn write_counters(&self, writer: &mut Writer) {
        if let Err(error) = self.render() {
            tracing::warn!(%error, "the counters could not be read: they start from zero");
        }
        self.own.shown.lock().unwrap_or_else(PoisonError::into_inner).write(writer);
        self.own.publish_duration.write(writer);
    }

    /// Counts on from what another process has written. A counter that is not known here is ignored.
    ///
    /// # Errors
    ///
    /// It is not what [`Metrics::write_counters`] has written.
    pub fn read_counters(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.own.carried.read(reader)?;
        self.own.publish_duration.read(reader)
    }

    /// What a counter shows that has come to so much in this process.
    pub(crate) fn total(&self, name: &str, label: &str, value: u64) -> u64 {
        self.own.carried.total(name, label, value)
    }

    /// Everything, as text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Own {
    fn refusals(&self) -> [(&'static str, u64); RefusalReason::ALL.len()] {
        RefusalReason::ALL
            .map(|reason| (reason.as_str(), self.refused[reason.index()].load(Ordering::Relaxed)))
    }
}

impl MetricSource for Own {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        self.counters.rows(rows)?;
        self.upgrades.rows(rows)?;
        let help = "Time from a request's last byte to its acknowledgement.";
        rows.write("publish_duration", help, Some(&Unit::Seconds), &self.publish_duration)?;
        rows.counters_by("reason", "refused", "Requests refused, by reason.", self.refusals())
    }
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (own, mut shown) = (&self.own, CounterSnapshot::default());
        let mut rows = Rows { encoder: &mut encoder, carried: &own.carried, shown: &mut shown };
        own.rows(&mut rows)?;
        self.sources.iter().try_for_each(|source| source.rows(&mut rows))?;
        *own.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }
}
