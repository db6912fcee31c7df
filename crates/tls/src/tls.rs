//! What the hub shows whoever connects, and its replacement while connections are open.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};

use crate::{Certificate, Challenges};

/// What the hub speaks TLS with.
#[derive(Debug)]
pub struct Tls {
    shown: Arc<CurrentCertificate>,
    config: Arc<ServerConfig>,
}

/// What the next handshake is answered with.
#[derive(Debug)]
struct CurrentCertificate {
    /// Nothing, until a first one has been issued.
    certificate: RwLock<Option<Certificate>>,
    challenges: Option<Arc<Challenges>>,
}

impl Tls {
    /// ALPN's name of HTTP/2 (RFC 9113, 3.1).
    pub const HTTP2: &[u8] = b"h2";
    /// ALPN's name of a certificate authority's visit (RFC 8737, 6.2).
    pub const ACME: &[u8] = b"acme-tls/1";

    pub(crate) fn new(
        certificate: Option<Certificate>,
        challenges: Option<Arc<Challenges>>,
    ) -> Result<Self, rustls::Error> {
        let mut protocols = vec![Self::HTTP2.to_vec(), b"http/1.1".to_vec()];
        if challenges.is_some() {
            protocols.push(Self::ACME.to_vec());
        }
        let shown =
            Arc::new(CurrentCertificate { certificate: RwLock::new(certificate), challenges });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols;
        // Streams are sealed by the shards, with what the handshake came to.
        config.enable_secret_extraction = true;
        // A fleet that reconnects resumes its sessions, and the hub remembers none of them.
        config.ticketer = Ticketer::new()?;
        Ok(Self { shown, config: Arc::new(config) })
    }

    /// For the next handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Shows this certificate from now on.
    pub fn show(&self, certificate: Certificate) {
        let mut shown = self.shown.certificate.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Some(certificate);
    }

    /// What is shown now.
    pub fn shown(&self) -> Option<Certificate> {
        self.shown.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CurrentCertificate {
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
