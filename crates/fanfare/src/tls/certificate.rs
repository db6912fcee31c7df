//! A certificate: the chain that is shown, the key that fits it, and how long it is good.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error};
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

/// A chain of certificates, the hub's own first, and the key of that one.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Certificate {
    /// Puts a chain and a key together, if they belong together.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let key = CertifiedKey::from_der(chain, key, &default_provider())?;
        let (_, own) = parse_x509_certificate(key.end_entity_cert()?)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let validity = Validity {
            from: time(own.validity().not_before),
            until: time(own.validity().not_after),
        };
        Ok(Self { key: Arc::new(key), validity })
    }

    /// As a handshake wants it.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it is made out to this name, among others.
    pub(crate) fn is_for(&self, name: &ServerName<'_>) -> bool {
        let own = self.key.end_entity_cert().and_then(ParsedCertificate::try_from);
        own.is_ok_and(|own| verify_server_name(&own, name).is_ok())
    }
}

fn time(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.timestamp().try_into().unwrap_or(0))
}
