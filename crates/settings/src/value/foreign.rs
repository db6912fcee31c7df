//! Values of types that other crates define: what an error and `--help` say of each.

use std::path::Path;

use fanfare_auth::{AccessKey, InvalidCredential, KeyFile, PublicKey, TokenSecret};
use fanfare_disk::{InvalidSyncPolicy, SyncPolicy};
use fanfare_event::{InvalidPattern, Pattern};
use fanfare_mercure::{InvalidMercureUrl, MercureUrl};
use fanfare_net::{
    AcmeDirectory, Contact, Domain, Host, InvalidAcmeDirectory, InvalidContact, InvalidDomain,
    InvalidHost, InvalidKeySetUrl, InvalidNetwork, InvalidOrigin, InvalidSecurityContact,
    KeySetUrl, Network, Origin, SecurityContact,
};

use super::SettingValue;

macro_rules! values {
    ($($type:ty: $placeholder:literal, $noun:literal, $error:ty, $parse:expr;)+) => {$(
        impl SettingValue for $type {
            const PLACEHOLDER: &'static str = $placeholder;
            const NOUN: &'static str = $noun;
            type Error = $error;

            fn parse(text: &str) -> Result<Self, $error> {
                $parse(text)
            }
        }
    )+};
}

values! {
    AcmeDirectory: "URL", "the directory of a certificate authority", InvalidAcmeDirectory,
        Self::parse;
    Contact: "EMAIL", "an e-mail address", InvalidContact, Self::parse;
    Host: "HOST", "a host", InvalidHost, Self::parse;
    MercureUrl: "URL", "the URL of a Mercure hub", InvalidMercureUrl, Self::parse;
    KeyFile: "FILE", "a file of access keys", InvalidCredential, |path| Self::read(Path::new(path));
    KeySetUrl: "URL", "the address of a key set", InvalidKeySetUrl, Self::parse;
    Network: "CIDR", "a range of addresses", InvalidNetwork, Self::parse;
    Origin: "ORIGIN", "an origin to allow", InvalidOrigin, Self::parse;
    Pattern: "PATTERN", "a pattern of topics", InvalidPattern, Self::parse;
    PublicKey: "FILE", "a public key", InvalidCredential, |path| Self::read(Path::new(path));
    SecurityContact: "ADDRESS", "an address to report to", InvalidSecurityContact, Self::parse;
    SyncPolicy: "WHEN", "a sync policy", InvalidSyncPolicy, str::parse;
}

impl SettingValue for Domain {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a domain to have a certificate for";
    type Error = CannotOrder;

    fn parse(text: &str) -> Result<Self, CannotOrder> {
        if cfg!(feature = "acme") { Ok(Self::parse(text)?) } else { Err(CannotOrder::BuiltWithout) }
    }
}

/// Why no certificate can be ordered for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CannotOrder {
    /// No authority would issue one.
    #[error(transparent)]
    Domain(#[from] InvalidDomain),
    /// Whatever it is.
    #[error("this program was built without ACME: build it with the feature `acme`")]
    BuiltWithout,
}

impl SettingValue for AccessKey {
    const PLACEHOLDER: &'static str = "KEY";
    const NOUN: &'static str = "an access key";
    const SECRET: bool = true;
    type Error = InvalidCredential;

    fn parse(text: &str) -> Result<Self, InvalidCredential> {
        Self::parse(text)
    }
}

impl SettingValue for TokenSecret {
    const PLACEHOLDER: &'static str = "SECRET|@FILE";
    const NOUN: &'static str = "a secret for tokens";
    const SECRET: bool = true;
    // It may hold commas.
    const LISTED: bool = false;
    type Error = InvalidCredential;

    fn parse(text: &str) -> Result<Self, InvalidCredential> {
        Self::parse(text)
    }
}
