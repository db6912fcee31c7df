//! What is read off the hub and its delivery when `/metrics` is asked for.

use std::fmt;
use std::sync::Arc;

use fanfare_delivery::{Delivery, Metric, MetricByReason, MetricKind};
use fanfare_hub::Hub;

use super::resident_memory;
use super::source::{MetricSource, Rows};

#[derive(Debug)]
pub(super) struct Observed {
    pub(super) hub: Arc<Hub>,
    pub(super) delivery: Arc<Delivery>,
}

impl MetricSource for Observed {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let seats = self.delivery.seats();
        let totals = self.delivery.totals();
        let window = self.hub.window();
        let (frames, bytes) = window.held();
        let last = window.last();
        let ready = u64::from(self.hub.ready().is_ok());
        rows.gauge("subscribers", "Open streams", seats.taken() as u64)?;
        rows.gauge("max_subscribers", "Streams that may be open", seats.capacity() as u64)?;
        rows.gauge("ready", "1 where the event log accepts publishes, else 0", ready)?;
        rows.gauge("last_epoch", "Epoch of the last event heard of", last.epoch)?;
        rows.gauge("last_seq", "Its number within the epoch", last.seq)?;
        rows.gauge("window_events", "Recent events held ready to send", frames as u64)?;
        rows.gauge("window_bytes", "What they occupy", bytes as u64)?;
        if let Some(size) = self.hub.log_size() {
            rows.gauge("log_events", "Events retained by the log", size.events)?;
            rows.gauge("log_bytes", "What they weigh", size.bytes)?;
            let help = "Trimmed, and still on disk until its idempotency keys have room elsewhere";
            rows.gauge("log_unreclaimed_bytes", help, size.unreclaimed)?;
        }
        if let Some(bytes) = resident_memory() {
            rows.gauge("resident_memory_bytes", "Memory the process occupies", bytes)?;
        }
        let help = "Reads of the log for such pages: fewer where several share one";
        rows.counter("catchup_reads", help, self.hub.reads())?;
        let help = "Pages that could not be read, and are asked for again";
        rows.counter("catchup_failures", help, self.hub.failed_pages())?;
        let (concerned, everyone) = window.overruns();
        let help = "Times a shard was overrun by the window, by who had to read the log";
        let overruns = vec![("concerned", concerned), ("everyone", everyone)];
        rows.counters_by("who", "window_overruns", help, overruns)?;
        for Metric { name, help, kind, value } in totals.metrics() {
            match kind {
                MetricKind::Counter => rows.counter(name, help, value)?,
                MetricKind::Gauge | MetricKind::Greatest => rows.gauge(name, help, value)?,
            }
        }
        totals.metrics_by_reason().try_for_each(|MetricByReason { name, help, values }| {
            rows.counters_by("reason", name, help, values)
        })
    }
}
