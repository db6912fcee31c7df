//! Why there is no certificate, or no new one.

use std::time::Duration;

use instant_acme::Problem;

use super::CacheError;
use crate::NoTrust;

/// What went wrong between the hub and a certificate authority.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The account and the certificate cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No authority can be asked.
    #[error("certificates cannot be ordered: {0}")]
    Client(#[source] NoTrust),
    /// The exchange with the authority failed.
    #[error(transparent)]
    Authority(#[from] instant_acme::Error),
    /// The authority has no way to prove a domain that a hub could answer.
    #[error("the authority does not offer to prove {domain} by TLS-ALPN-01")]
    NoChallenge {
        /// The domain.
        domain: String,
    },
    /// The authority came, and did not find this hub.
    #[error("the authority could not prove that {domain} leads here: {problem}")]
    Unproved {
        /// The domain.
        domain: String,
        /// What it found.
        problem: Problem,
    },
    /// The authority gives no reason.
    #[error("the authority has refused the order")]
    Refused,
    /// It takes too long.
    #[error("the order was not completed within {0:?}")]
    Late(Duration),
    /// The certificate for a challenge cannot be made.
    #[error("cannot make the certificate for a challenge: {0}")]
    Challenge(#[from] rcgen::Error),
    /// The certificate for a challenge is of no use.
    #[error("cannot show the certificate for a challenge: {0}")]
    Proof(#[source] rustls::Error),
}
