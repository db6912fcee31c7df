//! The authenticator: from what a request presents to a principal.

use std::collections::HashSet;

use fanfare_event::Timestamp;

use crate::access_keys::AccessKeys;
use crate::credential_id::CredentialId;
use crate::grant::{PublishGrant, SubscribeGrant};
use crate::invalid_token::InvalidToken;
use crate::principal::{Identity, Principal};
use crate::token::{TokenVerifier, Untrusted};

/// Knows every credential there is.
#[derive(Debug, Default)]
pub struct Authenticator {
    /// The keys that let their holders publish everywhere.
    pub publish_keys: AccessKeys,
    /// The keys that let their holders listen to everything.
    pub subscribe_keys: AccessKeys,
    /// The tokens that are trusted.
    pub tokens: TokenVerifier,
}

impl Authenticator {
    /// Whether nothing that could be presented would be accepted.
    pub fn is_empty(&self) -> bool {
        self.publish_keys.is_empty() && self.subscribe_keys.is_empty() && self.tokens.is_empty()
    }

    /// Every credential that is accepted now: the access keys, and the keys for tokens.
    pub fn credentials(&self) -> HashSet<CredentialId> {
        let keys = self.publish_keys.ids().chain(self.subscribe_keys.ids()).cloned();
        keys.chain(self.tokens.credentials()).collect()
    }

    /// Who presents this text: the holder of an access key, or the bearer of a token.
    ///
    /// # Errors
    ///
    /// [`Untrusted`], if it is neither.
    pub async fn authenticate(
        &self,
        presented: &str,
        now: Timestamp,
    ) -> Result<Principal, Untrusted> {
        let publishes = self.publish_keys.find(presented);
        let subscribes = self.subscribe_keys.find(presented);
        let publish =
            publishes.as_ref().map_or_else(Default::default, |_| PublishGrant::EVERYTHING);
        let subscribe =
            subscribes.as_ref().map_or_else(Default::default, |_| SubscribeGrant::EVERYTHING);
        if let Some((key, credential)) = publishes.or(subscribes) {
            let (identity, credential) = (Identity::AccessKey(key), Some(credential));
            let (admin, expires, note) = (false, None, None);
            return Ok(Principal {
                identity,
                publish,
                subscribe,
                admin,
                expires,
                credential,
                note,
            });
        }
        if self.tokens.is_empty() {
            return Err(InvalidToken::Malformed.into());
        }
        self.tokens.verify(presented, now).await
    }
}
