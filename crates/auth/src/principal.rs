//! A principal: whoever a request was made by, and what they were granted.

use std::sync::Arc;

use fanfare_event::Timestamp;

use crate::credential_id::CredentialId;
use crate::grant::{PublishGrant, SubscribeGrant};
use crate::note::Note;
use crate::secret_digest::SecretDigest;

/// Someone whose credentials have been verified, or nobody in particular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub identity: Identity,
    /// Where they may publish.
    pub publish: PublishGrant,
    /// What they may listen to.
    pub subscribe: SubscribeGrant,
    /// Whether they may look at the console, and cut the streams of others.
    pub admin: bool,
    /// When all of this ends; `None` for credentials that do not expire.
    pub expires: Option<Timestamp>,
    /// By which credential; `None` for someone who has shown none.
    pub credential: Option<CredentialId>,
    /// What the reader of another protocol's tokens has noted; tickets do not hold it.
    pub note: Option<Note>,
}

/// Who someone is, as far as their credentials tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Not told.
    Anonymous,
    /// The holder of this access key.
    AccessKey(SecretDigest),
    /// The bearer of a token that names no subject: known by its issuer and by what it grants, so
    /// that a token which is renewed is the same bearer's.
    Bearer(SecretDigest),
    /// The subject of a token (RFC 7519, 4.1.2), as its issuer calls them.
    Subject {
        /// What its streams are counted and cut under.
        name: Arc<str>,
        /// Who issued the token, if it says so.
        issuer: Option<Arc<str>>,
    },
}

impl Principal {
    /// Someone without credentials, granted `publish` and `subscribe` all the same.
    pub fn anonymous(publish: PublishGrant, subscribe: SubscribeGrant) -> Self {
        let identity = Identity::Anonymous;
        let (admin, expires, credential, note) = (false, None, None, None);
        Self { identity, publish, subscribe, admin, expires, credential, note }
    }

    /// The subject of the token, if it named one.
    pub fn subject(&self) -> Option<&Arc<str>> {
        match &self.identity {
            Identity::Subject { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What its right to listen takes up, in bytes.
    pub fn listener_weight(&self) -> usize {
        let named = match &self.identity {
            Identity::Subject { name, issuer } => {
                name.len() + issuer.as_ref().map_or(0, |i| i.len())
            }
            _ => 0,
        };
        size_of::<Self>() + named + self.subscribe.weight()
    }

    /// The same, with no right but to listen. An administrator listens to more than others.
    pub fn as_listener(&self) -> Self {
        Self { publish: PublishGrant::default(), note: None, ..self.clone() }
    }
}
