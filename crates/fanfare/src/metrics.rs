//! Metrics: what `/metrics` says, in the OpenMetrics text format.
//!
//! Names are constants here, for whoever emits and whoever reads. No label carries a topic: their
//! number is up to publishers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fanfare_delivery::{CloseReason, Delivery, Totals};
use fanfare_hub::{GapReason, Hub, reasons};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric as _, LabelValueEncoder,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::http::{Census, Roster};
use crate::latency::{Latencies, Tally};
use crate::resident_memory::resident_memory;
use crate::tls::Tls;

/// What the HTTP side counts, and the registry that reads everything.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    published_events: Counter,
    published_bytes: Counter,
    repeated: Counter,
    publish_duration: Latencies,
    refused: Family<RefusedLabels, Counter>,
    certificate_orders: Family<OrderLabels, Counter>,
}

/// What the HTTP side has counted at one moment.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) published_events: u64,
    pub(crate) published_bytes: u64,
    pub(crate) repeated: u64,
    pub(crate) refused: [(&'static str, u64); Refused::ALL.len()],
}

reasons! {
    /// Why a request was not served as asked.
    pub(crate) enum Refused {
        /// A publish whose body or headers are wrong.
        InvalidPublish = "invalid_publish",
        /// A subscription whose parameters are wrong.
        InvalidSubscribe = "invalid_subscribe",
        /// A body or message over its limit.
        TooLarge = "too_large",
        /// A subscription to more topics than is allowed.
        TooManyTopics = "too_many_topics",
        /// A revocation that names no subject.
        InvalidRevocation = "invalid_revocation",
        /// For another host than the hub's.
        ForeignHost = "foreign_host",
        /// From the page of another site.
        ForeignOrigin = "foreign_origin",
        /// Without credentials, or with ones that are not valid.
        Unauthenticated = "unauthenticated",
        /// With credentials that are not valid, after too many others from the same address.
        CredentialRate = "credential_rate",
        /// With credentials that cannot be verified at the moment.
        CredentialsUnverifiable = "credentials_unverifiable",
        /// For something that was not granted.
        Forbidden = "forbidden",
        /// A publisher was too fast.
        PublishRate = "publish_rate",
        /// An address has too many streams.
        AddressCapacity = "address_capacity",
        /// A subject has too many streams.
        SubjectCapacity = "subject_capacity",
        /// The streams of an address, or all together, name too many patterns.
        PatternCapacity = "pattern_capacity",
        /// Too many requests are being answered.
        Requests = "requests",
        /// Too many requests of an address are being answered.
        AddressRequests = "address_requests",
        /// An address sends requests too fast.
        RequestRate = "request_rate",
        /// All seats are taken.
        Capacity = "capacity",
        /// The hub is shutting down.
        Draining = "draining",
        /// The event log accepts nothing, or cannot be heard.
        LogUnavailable = "log_unavailable",
        /// The event log has no room.
        LogFull = "log_full",
        /// Too many idempotency keys are in use.
        TooManyKeys = "too_many_keys",
        /// An idempotency key was used before, for another content.
        KeyReused = "idempotency_key_reused",
        /// Too many tickets were drawn.
        TooManyTickets = "too_many_tickets",
        /// There are too many connections.
        Connections = "connections",
        /// An address has too many connections.
        AddressConnections = "address_connections",
        /// An address opens connections too fast.
        ConnectionRate = "connection_rate",
        /// There are too many connections on which no request has come yet.
        HalfOpen = "half_open",
        /// There are too many connections between two requests.
        Idle = "idle",
        /// An answer was not read.
        Unread = "unread",
        /// A request's head took too long.
        HeadTimeout = "head_timeout",
        /// A request's head is over its limit.
        HeadTooLarge = "head_too_large",
        /// A request's target is over its limit.
        TargetTooLong = "target_too_long",
        /// What came is not HTTP.
        Malformed = "malformed",
        /// An HTTP/2 peer opens and resets more than anyone needs.
        Flood = "http2_flood",
        /// A request's body took too long.
        BodyTimeout = "body_timeout",
        /// Bodies take up what memory there is for them.
        Bodies = "bodies",
        /// A TLS handshake failed.
        TlsHandshake = "tls_handshake",
        /// Clear text came where TLS is spoken.
        NotTls = "not_tls",
    }
}

impl EncodeLabelValue for Refused {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OrderLabels {
    outcome: &'static str,
}

impl OrderLabels {
    const ISSUED: Self = Self { outcome: "issued" };
    const FAILED: Self = Self { outcome: "failed" };
}

impl Metrics {
    pub(crate) fn new(
        hub: Arc<Hub>,
        delivery: Arc<Delivery>,
        roster: Arc<Roster>,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let mut registry = Registry::with_prefix("fanfare");
        let published_events = Counter::default();
        let published_bytes = Counter::default();
        let repeated = Counter::default();
        let publish_duration = Latencies::new();
        let refused = Family::<RefusedLabels, Counter>::default();
        // There from the start, so that a first refusal is seen as an increase.
        for reason in Refused::ALL {
            drop(refused.get_or_create(&RefusedLabels { reason }));
        }
        let certificate_orders = Family::<OrderLabels, Counter>::default();
        for outcome in [OrderLabels::ISSUED, OrderLabels::FAILED] {
            drop(certificate_orders.get_or_create(&outcome));
        }
        registry.register("publishes", "Events accepted", published_events.clone());
        registry.register("published_bytes", "Bytes of messages accepted", published_bytes.clone());
        registry.register(
            "repeated_publishes",
            "Requests answered from their idempotency key, publishing nothing",
            repeated.clone(),
        );
        registry.register_with_unit(
            "publish_duration",
            "Time from a request's last byte to its acknowledgement",
            Unit::Seconds,
            publish_duration.clone(),
        );
        registry.register("refused", "Requests refused, by reason", refused.clone());
        registry.register(
            "certificate_orders",
            "Certificates ordered by ACME, by outcome",
            certificate_orders.clone(),
        );
        registry.register_collector(Box::new(Observed { hub, delivery, roster, tls }));
        Self {
            registry,
            published_events,
            published_bytes,
            repeated,
            publish_duration,
            refused,
            certificate_orders,
        }
    }

    pub(crate) fn published(&self, events: usize, bytes: usize, took: Duration) {
        self.published_events.inc_by(events as u64);
        self.published_bytes.inc_by(bytes as u64);
        self.publish_duration.observe(took);
    }

    pub(crate) fn repeated(&self) {
        self.repeated.inc();
    }

    pub(crate) fn refused(&self, reason: Refused) {
        self.refused.get_or_create(&RefusedLabels { reason }).inc();
    }

    pub(crate) fn certificate_ordered(&self, issued: bool) {
        let outcome = if issued { OrderLabels::ISSUED } else { OrderLabels::FAILED };
        self.certificate_orders.get_or_create(&outcome).inc();
    }

    /// What has been counted here so far.
    pub(crate) fn counted(&self) -> Counted {
        let refused = |reason| self.refused.get_or_create(&RefusedLabels { reason }).get();
        Counted {
            published_events: self.published_events.get(),
            published_bytes: self.published_bytes.get(),
            repeated: self.repeated.get(),
            refused: Refused::ALL.map(|reason| (reason.as_str(), refused(reason))),
        }
    }

    /// How long publishes have taken so far.
    pub(crate) fn latencies(&self) -> Tally {
        self.publish_duration.tally()
    }

    /// Everything, as text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What is read off the hub and delivery when asked for.
#[derive(Debug)]
struct Observed {
    hub: Arc<Hub>,
    delivery: Arc<Delivery>,
    roster: Arc<Roster>,
    tls: Option<Arc<Tls>>,
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.delivery.totals();
        let seats = self.delivery.seats();
        let (frames, bytes) = self.hub.window().held();
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let mut gauge = |name, help, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("subscribers", "Open streams", seats.taken())?;
        gauge("max_subscribers", "Streams that may be open", seats.capacity())?;
        let Census { connections, half_open, idle, unread } = self.roster.census();
        gauge("connections", "Open connections, those of streams included", connections)?;
        gauge("half_open_connections", "Connections without a first request yet", half_open)?;
        gauge("idle_connections", "Connections between two requests", idle)?;
        gauge("unread_answers", "Answers that wait for their peers to read", unread)?;
        let ready = usize::from(self.hub.ready().is_ok());
        gauge("ready", "1 where the event log accepts publishes, else 0", ready)?;
        let last = self.hub.window().last();
        gauge("last_epoch", "Epoch of the last event heard of", number(last.epoch))?;
        gauge("last_seq", "Its number within the epoch", number(last.seq))?;
        gauge("window_events", "Recent events held ready to send", frames)?;
        gauge("window_bytes", "What they occupy", bytes)?;
        let lag = number(totals.slowest_lag);
        gauge("slowest_lag_events", "How far the slowest subscriber is behind", lag)?;
        if let Some(size) = self.hub.log_size() {
            gauge("log_events", "Events retained by the log", number(size.events))?;
            gauge("log_bytes", "What they weigh", number(size.bytes))?;
        }
        if let Some(certificate) = self.tls.as_ref().and_then(|tls| tls.shown()) {
            let until = certificate.validity().until.duration_since(UNIX_EPOCH);
            let name = "certificate_expiry_timestamp_seconds";
            let seconds = until.unwrap_or_default().as_secs();
            gauge(name, "When the certificate that is shown runs out", number(seconds))?;
        }
        if let Some(bytes) = resident_memory() {
            gauge("resident_memory_bytes", "Memory the process occupies", number(bytes))?;
        }
        let mut counter = |name, help, value: u64| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        let Totals {
            deliveries, bytes, writes, keepalives, fresh_cursors, pages, page_events, ..
        } = totals;
        counter("deliveries", "Events handed to subscribers", deliveries)?;
        counter("delivered_bytes", "Bytes that subscribers took", bytes)?;
        counter("writes", "Writes to subscribers", writes)?;
        counter("keepalives", "Comments that kept quiet streams open", keepalives)?;
        counter("fresh_cursors", "Ids sent to subscribers of quiet topics", fresh_cursors)?;
        counter("catchup_pages", "Pages read from the log for those behind the window", pages)?;
        counter("catchup_events", "Events read in those pages", page_events)?;
        let gaps = GapReason::ALL.map(|r| (r.as_str(), totals.gaps[r.index()]));
        by_reason(&mut encoder, "gaps", "Gaps told to subscribers, by reason", gaps)?;
        let closed = CloseReason::ALL.map(|r| (r.as_str(), totals.closed[r.index()]));
        by_reason(&mut encoder, "closed", "Streams closed, by reason", closed)
    }
}

fn by_reason<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counts: [(&'static str, u64); N],
) -> fmt::Result {
    use prometheus_client::metrics::MetricType;
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (reason, count) in counts {
        let label = [("reason", reason)];
        ConstCounter::new(count).encode(family.encode_family(&label)?)?;
    }
    Ok(())
}
