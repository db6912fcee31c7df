//! A certificate: the chain that is shown, the key that fits it, and how long it is good.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error};

use crate::Validity;

/// A chain of certificates, the hub's own first, and the key of that one.
#[derive(Debug, Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

impl Certificate {
    /// Puts a chain and a key together, if they belong together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let key = CertifiedKey::from_der(chain, key, &default_provider())?;
        let validity = Validity::of(key.end_entity_cert()?)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// As a handshake wants it.
    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    /// From when until when it is good.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it is made out to this name, among others.
    pub fn is_for(&self, name: &ServerName<'_>) -> bool {
        let own = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        own.is_ok_and(|own| verify_server_name(&own, name).is_ok())
    }
}
