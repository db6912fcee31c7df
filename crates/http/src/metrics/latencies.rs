//! Latencies: how long something took, counted in buckets, lock-free.
//!
//! What must hold: a quantile read from the buckets is at most a quarter above the true one,
//! between [`FLOOR`] and the last bucket's bound.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_handover::{Malformed, Reader, Writer};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Everything quicker than this, in microseconds, is in the first bucket.
const FLOOR: u64 = 1 << FLOOR_BITS;
const FLOOR_BITS: u32 = 4;
/// How often the floor is doubled: up to 16 s.
const DOUBLINGS: usize = 20;
/// Buckets for each doubling.
const STEPS: usize = 4;
const STEP_BITS: u32 = 2;
/// The first, those between, and the last for everything slower.
const BUCKETS: usize = 1 + DOUBLINGS * STEPS + 1;

/// Counts that many threads add to. Cloning refers to the same counts.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Arc<LatencyBuckets>);

#[derive(Debug)]
struct LatencyBuckets {
    buckets: [AtomicU64; BUCKETS],
    /// Of all, in nanoseconds.
    sum: AtomicU64,
}

/// What was counted up to some moment, or between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatencySnapshot([u64; BUCKETS]);

impl Latencies {
    pub(super) fn new() -> Self {
        Self(Arc::new(LatencyBuckets {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }))
    }

    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Writes down what was counted.
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.count(BUCKETS);
        self.tally().0.iter().for_each(|count| writer.u64(*count));
        writer.u64(self.0.sum.load(Ordering::Relaxed));
    }

    /// Adds what another process has counted; nothing where its buckets are others.
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let counts = reader.list(|reader| reader.u64())?;
        let sum = reader.u64()?;
        if counts.len() == BUCKETS {
            let buckets = self.0.buckets.iter().zip(counts);
            buckets.for_each(|(bucket, count)| _ = bucket.fetch_add(count, Ordering::Relaxed));
            self.0.sum.fetch_add(sum, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn tally(&self) -> LatencySnapshot {
        LatencySnapshot(self.0.buckets.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl LatencySnapshot {
    /// What has been counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.0;
        counts.iter_mut().zip(earlier.0).for_each(|(count, before)| *count -= before.min(*count));
        Self(counts)
    }

    /// The time within which this share of all took place, in seconds; `None` if there was none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.iter().sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut passed = 0;
        let reached = self.0.iter().position(|count| {
            passed += count;
            passed >= wanted
        });
        reached.filter(|_| all > 0).map(|bucket| bound(bucket.min(BUCKETS - 2)))
    }
}

/// In which bucket a time is counted.
fn bucket(micros: u64) -> usize {
    if micros < FLOOR {
        return 0;
    }
    let doublings = micros.ilog2() - FLOOR_BITS;
    let step = (micros >> (doublings + FLOOR_BITS - STEP_BITS)) as usize & (STEPS - 1);
    (1 + doublings as usize * STEPS + step).min(BUCKETS - 1)
}

/// What every time in a bucket is less than, in seconds.
fn bound(bucket: usize) -> f64 {
    let Some(after_first) = bucket.checked_sub(1) else { return FLOOR as f64 / 1e6 };
    let (doublings, step) = (after_first / STEPS, after_first % STEPS);
    if bucket == BUCKETS - 1 {
        return f64::INFINITY;
    }
    let base = FLOOR << doublings;
    (base + (base >> STEP_BITS) * (step as u64 + 1)) as f64 / 1e6
}

impl EncodeMetric for Latencies {
    /// A bucket for each doubling: finer ones would be many lines of little use to a scraper.
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let LatencySnapshot(counts) = self.tally();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / 1e9;
        let doublings = counts[1..BUCKETS - 1]
            .chunks(STEPS)
            .enumerate()
            .map(|(n, counts)| (bound((n + 1) * STEPS), counts.iter().sum()));
        let buckets: Vec<(f64, u64)> = [(bound(0), counts[0])]
            .into_iter()
            .chain(doublings)
            .chain([(f64::INFINITY, counts[BUCKETS - 1])])
            .collect();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_and_no_bucket_is_too_wide() {
        for micros in (0..100_000).chain((17..25).map(|bits| (1 << bits) - 1)) {
            let at = bucket(micros);
            let seconds = micros as f64 / 1e6;
            assert!(seconds < bound(at), "{micros}");
            if at > 0 && at < BUCKETS - 1 {
                assert!(seconds >= bound(at - 1), "{micros}");
                assert!(bound(at) <= bound(at - 1) * 1.25 + 1e-12, "{micros}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_counts_only_what_was_since_and_invents_none() {
        let latencies = Latencies::new();
        assert_eq!(latencies.tally().quantile(0.5), None);
        latencies.observe(Duration::from_secs(100));
        let before = latencies.tally();
        (0..99).for_each(|_| latencies.observe(Duration::from_micros(100)));
        latencies.observe(Duration::from_millis(50));
        let lately = latencies.tally().since(&before);
        assert!((0.0001..=0.000_125).contains(&lately.quantile(0.99).unwrap()));
        assert!((0.05..=0.0625).contains(&lately.quantile(1.0).unwrap()));
        assert!(latencies.tally().quantile(1.0).unwrap().is_finite());
    }
}
