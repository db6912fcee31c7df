//! Certificate metrics: when the certificate runs out that is shown, and what came of orders for new ones.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use fanfare_http::{MetricSource, Rows};
use fanfare_tls::Tls;

/// The certificate that is shown, and the orders of new ones.
#[derive(Debug)]
pub(crate) struct CertificateMetrics {
    tls: Option<Arc<Tls>>,
    issued: AtomicU64,
    failed: AtomicU64,
}

impl CertificateMetrics {
    pub(crate) fn new(tls: Option<Arc<Tls>>) -> Self {
        Self { tls, issued: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// Counts an order to the authority, which was fulfilled or not.
    pub(crate) fn count_order(&self, issued: bool) {
        let count = if issued { &self.issued } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl MetricSource for CertificateMetrics {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let counts = [("issued", &self.issued), ("failed", &self.failed)];
        let counts = counts.map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)));
        let orders = "Certificates ordered by ACME, by outcome.";
        rows.counters_by("outcome", "certificate_orders", orders, counts)?;
        let Some(certificate) = self.tls.as_ref().and_then(|tls| tls.shown()) else {
            return Ok(());
        };
        let until = certificate.validity().until.duration_since(UNIX_EPOCH);
        rows.gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate that is shown runs out",
            until.unwrap_or_default().as_secs(),
        )
    }
}
