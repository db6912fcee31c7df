//! Sources: figures that are read off their owners whenever `/metrics` is asked for.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::carried::{CarriedCounters, CounterSnapshot};

/// Whoever has figures of its own. Each of them is one row there.
pub trait MetricSource: fmt::Debug + Send + Sync {
    /// Writes each figure as it is now. Must be quick.
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result;
}

/// Where rows are written. Names are without the prefix `fanfare_`; no label carries a topic, whose
/// number is up to publishers.
pub struct Rows<'a, 'e> {
    pub(super) encoder: &'a mut DescriptorEncoder<'e>,
    pub(super) carried: &'a CarriedCounters,
    /// What each counter shows.
    pub(super) shown: &'a mut CounterSnapshot,
}

impl<S: MetricSource> MetricSource for Arc<S> {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        S::rows(self, rows)
    }
}

impl Rows<'_, '_> {
    /// A figure that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.write(name, help, None, &ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    /// A figure that only goes up.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let total = self.total(name, "", value);
        self.write(name, help, None, &ConstCounter::new(total))
    }

    /// Figures that only go up, one for each value of `label`.
    pub fn counters_by<'v>(
        &mut self,
        label: &str,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (&'v str, u64)>,
    ) -> fmt::Result {
        let counts: Vec<_> = counts
            .into_iter()
            .map(|(value, count)| (value, self.total(name, value, count)))
            .collect();
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in counts {
            ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }

    /// What a counter shows, with what the process before had counted.
    fn total(&mut self, name: &str, label: &str, value: u64) -> u64 {
        let total = self.carried.total(name, label, value);
        self.shown.note(name, label, total);
        total
    }

    /// Anything else that the format knows.
    pub(super) fn write(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        metric.encode(self.encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
    }
}

impl fmt::Debug for Rows<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}
