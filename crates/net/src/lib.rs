//! What the network calls things: [`Host`], [`Origin`], [`Network`], and the names and URLs that
//! people configure.
//!
//! What must hold: one text has one meaning, whether a person wrote it as a setting or a peer sent it
//! in a header, because one parser reads both. No type here does I/O or asks a name server.

mod acme_directory;
mod authority;
mod contact;
mod domain;
mod host;
mod key_set_url;
mod network;
mod origin;
mod security_contact;

pub use acme_directory::{AcmeDirectory, InvalidAcmeDirectory};
pub use contact::{Contact, InvalidContact};
pub use domain::{Domain, InvalidDomain};
pub use host::{Host, InvalidHost};
pub use key_set_url::{InvalidKeySetUrl, KeySetUrl};
pub use network::{InvalidNetwork, Network};
pub use origin::{InvalidOrigin, Origin};
pub use security_contact::{InvalidSecurityContact, SecurityContact};
