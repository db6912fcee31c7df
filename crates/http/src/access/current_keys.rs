//! The keys that a hub is given: its own, and those of the tokens of another protocol.

use fanfare_auth::{AccessKeys, VerificationKey};

/// The keys there are at one moment, without those of the key set.
#[derive(Debug, Default)]
pub struct CurrentKeys {
    /// Keys that publish.
    pub publish: AccessKeys,
    /// Keys that listen.
    pub subscribe: AccessKeys,
    /// Keys that tokens are verified with.
    pub tokens: Vec<VerificationKey>,
    /// Keys that another protocol's tokens are verified with, if they are not the same.
    pub foreign: ForeignKeys,
}

/// The keys of another protocol's tokens; where there are none, the hub's own are.
#[derive(Debug, Default)]
pub struct ForeignKeys {
    /// Of those who publish.
    pub publish: Vec<VerificationKey>,
    /// Of those who listen.
    pub subscribe: Vec<VerificationKey>,
}
