//! What is wrong with a token that can be read.

/// Why a hub would not accept a token, as far as the token says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The given key did not sign it.
    #[error("is not verified by that key")]
    Unverified,
    /// It does not say when it expires.
    #[error("has no exp: the hub refuses it")]
    NoExpiry,
    /// It is too late for it.
    #[error("has expired")]
    Expired,
    /// It is too early for it.
    #[error("is not valid until {0}")]
    Early(String),
}
