//! Why HTTPS cannot be served.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

#[cfg(feature = "acme")]
use crate::acme::AcmeError;

/// Why HTTPS cannot be served, or not with the new files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("{path} is not PEM: {source}", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where it is damaged.
        source: pem::Error,
    },
    /// There is no certificate.
    #[error(
        "{path} holds no certificate; it needs at least one PEM section BEGIN CERTIFICATE",
        path = path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key.
    #[error(
        "{path} holds no private key; it needs a PEM section BEGIN PRIVATE KEY, without a password",
        path = path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in {key} does not belong to the first certificate in {certificates}",
        key = key.display(),
        certificates = certificates.display()
    )]
    Mismatch {
        /// The file of the certificates.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate or the key is of no kind that can be used.
    #[error(
        "{certificates} and {key} cannot be used: {source}",
        certificates = certificates.display(),
        key = key.display()
    )]
    Unusable {
        /// The file of the certificates.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Certificates cannot be ordered.
    #[cfg(feature = "acme")]
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}
