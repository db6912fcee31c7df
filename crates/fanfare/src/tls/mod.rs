//! TLS: what the hub shows whoever connects, and its replacement while connections are open.
//!
//! What must hold: a certificate is shown only with the key that fits it. One that cannot be used is
//! reported and changes nothing; a good one counts for handshakes from then on, and for nothing
//! that is open already.

mod certificate;
mod challenges;
mod error;
mod files;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio::sync::Notify;

pub(crate) use certificate::{Certificate, Validity};
pub(crate) use challenges::{Answering, Challenges};
pub use error::TlsError;

use crate::acme::Acme;
use crate::certificate_metrics::CertificateMetrics;
use crate::settings::Settings;
use files::Files;

/// What the hub speaks TLS with.
#[derive(Debug)]
pub(crate) struct Tls {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// Where certificates come from.
#[derive(Debug)]
pub(crate) enum CertificateSource {
    /// Files that someone else maintains.
    Files(Files),
    /// A certificate authority.
    Acme(Box<Acme>),
}

/// What the next handshake is answered with.
#[derive(Debug)]
struct Shown {
    /// Nothing, until a first one has been issued.
    certificate: RwLock<Option<Certificate>>,
    challenges: Option<Arc<Challenges>>,
}

impl Tls {
    /// ALPN's name of HTTP/2 (RFC 9113, 3.1).
    pub(crate) const HTTP2: &[u8] = b"h2";
    /// ALPN's name of a certificate authority's visit (RFC 8737, 6.2).
    pub(crate) const ACME: &[u8] = b"acme-tls/1";

    /// As `settings` say; `None` if they ask for no TLS.
    pub(crate) fn open(
        settings: &Settings,
    ) -> Result<Option<(Arc<Self>, CertificateSource)>, TlsError> {
        if let (Some(certificates), Some(key)) = (&settings.tls_cert, &settings.tls_key) {
            let files = Files::new(certificates.path(), key.path());
            let tls = Self::new(Some(files.read()?), None)?;
            return Ok(Some((Arc::new(tls), CertificateSource::Files(files))));
        }
        let Some((acme, kept)) = Acme::open(settings)? else { return Ok(None) };
        let tls = Self::new(kept, Some(acme.challenges()))?;
        Ok(Some((Arc::new(tls), CertificateSource::Acme(Box::new(acme)))))
    }

    fn new(
        certificate: Option<Certificate>,
        challenges: Option<Arc<Challenges>>,
    ) -> Result<Self, rustls::Error> {
        let mut protocols = vec![Self::HTTP2.to_vec(), b"http/1.1".to_vec()];
        if challenges.is_some() {
            protocols.push(Self::ACME.to_vec());
        }
        let shown = Arc::new(Shown { certificate: RwLock::new(certificate), challenges });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols;
        // A fleet that reconnects resumes its sessions, and the hub remembers none of them.
        config.ticketer = Ticketer::new()?;
        Ok(Self { shown, config: Arc::new(config) })
    }

    /// For the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Shows this certificate from now on.
    pub(crate) fn show(&self, certificate: Certificate) {
        let mut shown = self.shown.certificate.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Some(certificate);
    }

    /// What is shown now.
    pub(crate) fn shown(&self) -> Option<Certificate> {
        self.shown.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl CertificateSource {
    /// Keeps what is shown fresh, for as long as the hub runs. A hangup is a wish to look at once.
    pub(crate) async fn keep(
        self,
        tls: Arc<Tls>,
        metrics: Arc<CertificateMetrics>,
        hangup: Arc<Notify>,
    ) {
        match self {
            Self::Files(files) => files.keep(&tls, &hangup).await,
            Self::Acme(acme) => acme.keep(&tls, &metrics, &hangup).await,
        }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(challenges) = &self.challenges
            && hello.alpn().is_some_and(|protocols| protocols.eq([Tls::ACME]))
        {
            return challenges.answer(hello.server_name()?);
        }
        let shown = self.certificate.read().unwrap_or_else(PoisonError::into_inner);
        shown.as_ref().map(Certificate::key)
    }
}
