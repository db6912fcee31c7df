//! TLS: the certificates that the hub shows, where they come from, and the HTTP client with which it
//! asks others.
//!
//! What must hold: a certificate is shown only with the key that fits it. One that cannot be used is
//! reported and changes nothing; a good one counts for handshakes from then on, and for nothing
//! that is open already.

#[cfg(feature = "acme")]
mod acme;
mod certificate;
mod challenges;
mod error;
mod files;
mod http_client;
mod source;
mod tls;
mod validity;

#[cfg(feature = "acme")]
pub use acme::{AcmeConfig, AcmeError, CacheError};
pub use certificate::Certificate;
pub use challenges::{Answering, Challenges};
pub use error::TlsError;
pub use http_client::{AnswerBounds, HttpClient, NoAnswer, NoTrust};
pub use source::{CertificateSource, TlsConfig};
pub use tls::Tls;
pub use validity::{NoValidity, Validity};
