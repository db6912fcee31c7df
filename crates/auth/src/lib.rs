//! Who may publish, who may listen, and how they prove it.
//!
//! A credential (an access key, a signed token, a ticket) is verified once, at the edge, and
//! becomes a [`Principal`]: who it is, and what it was granted. A grant is then asked to authorise
//! a selector or a batch of drafts, and answers with an [`Authorised`] value.
//!
//! What must hold:
//!
//! - *A proof, not a check*: nothing but a grant makes an [`Authorised`], so code that takes one
//!   cannot be reached by what was not granted.
//! - *A key says which algorithms it verifies*, never the token: a [`VerificationKey`] is built
//!   with its list, from its own kind.
//! - *Secrets stay here*: no type that holds one shows it, and they are compared in constant time.
//! - *In doubt, no*: a pattern whose containment cannot be decided within its bound is refused.
//!
//! No HTTP and no sockets: whoever can fetch a key set implements [`FetchKeys`].

mod access_keys;
mod authenticator;
mod authorised;
mod claims;
mod containment;
mod credential;
mod credential_id;
mod foreign_claims;
mod grant;
mod holder;
mod holder_id;
mod invalid_token;
mod jwks;
mod note;
mod principal;
mod secret;
mod secret_digest;
mod ticket;
mod ticket_state;
mod token;
mod verification_key;

use std::future::Future;
use std::pin::Pin;

pub use access_keys::AccessKeys;
pub use authenticator::Authenticator;
pub use authorised::{Authorised, Forbidden};
pub use credential::{AccessKey, InvalidCredential, KeyFile, PublicKey, TokenSecret};
pub use credential_id::CredentialId;
pub use foreign_claims::{Granted, ReadClaims};
pub use grant::{PublishGrant, SubscribeGrant};
pub use holder::InvalidHolder;
pub use holder_id::{HolderId, digest_of};
pub use invalid_token::InvalidToken;
pub use jwks::{FetchError, FetchKeys, InvalidKeySet, Jwks, Unavailable};
pub use note::Note;
pub use principal::{Identity, Principal};
pub use secret::{Secret, ShortSecret};
pub use secret_digest::SecretDigest;
pub use ticket::{MemoryTickets, StoreError, Ticket, TicketId, TicketShares, TicketStore};
pub use token::{TokenRules, TokenVerifier, Untrusted};
pub use verification_key::{InvalidPublicKey, VerificationKey};

/// What a seam that may wait returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
