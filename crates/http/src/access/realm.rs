//! Realms: whose credentials a request presents.
//!
//! The hub's own realm is one; a protocol with tokens of its own is another, whose publishers and subscribers may have
//! keys of their own. Access keys open both.

use std::sync::Arc;

use fanfare_auth::{PublishGrant, ReadClaims, SubscribeGrant};

/// Whose credentials are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Realm {
    /// The hub's own.
    #[default]
    Own,
    /// Those of another protocol, which has tokens of its own.
    Foreign,
}

/// How the tokens of another protocol are read, and what those are granted there who present none.
#[derive(Debug, Clone)]
pub struct ForeignRealm {
    /// Reads what its tokens claim.
    pub reader: Arc<dyn ReadClaims>,
    /// What everyone is granted, whoever they are. Whoever has a credential may also hear all that is not private.
    pub anyone: (PublishGrant, SubscribeGrant),
}
