//! Authenticators: who knows the credentials of a realm, by what they are presented for.

use std::collections::HashSet;
use std::sync::Arc;

use fanfare_auth::{Authenticator, CredentialId, Jwks, TokenRules, TokenVerifier};

use super::current_keys::{CurrentKeys, ForeignKeys};
use super::realm::{ForeignRealm, Realm};

/// As what a request presents its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// As anything, in the hub's own realm.
    Own,
    /// As a publisher of another protocol.
    Publisher,
    /// As a subscriber of another protocol.
    Subscriber,
}

impl Role {
    pub(super) fn publisher(realm: Realm) -> Self {
        match realm {
            Realm::Own => Self::Own,
            Realm::Foreign => Self::Publisher,
        }
    }

    pub(super) fn subscriber(realm: Realm) -> Self {
        match realm {
            Realm::Own => Self::Own,
            Realm::Foreign => Self::Subscriber,
        }
    }
}

/// Who knows the credentials of each role.
#[derive(Debug)]
pub(super) struct Authenticators {
    own: Authenticator,
    publishers: Authenticator,
    subscribers: Authenticator,
}

impl Authenticators {
    pub(super) fn new(
        keys: CurrentKeys,
        key_set: Option<&Jwks>,
        rules: &TokenRules,
        realm: Option<&ForeignRealm>,
    ) -> Self {
        let CurrentKeys {
            publish,
            subscribe,
            tokens,
            foreign: ForeignKeys { publish: publishers, subscribe: subscribers },
        } = keys;
        let foreign = |given: Vec<_>| {
            let Some(realm) = realm else { return Authenticator::default() };
            let (keys, key_set) =
                if given.is_empty() { (tokens.clone(), key_set.cloned()) } else { (given, None) };
            Authenticator {
                publish_keys: publish.clone(),
                subscribe_keys: subscribe.clone(),
                tokens: TokenVerifier::foreign(
                    keys,
                    key_set,
                    rules.clone(),
                    Arc::clone(&realm.reader),
                ),
            }
        };
        Self {
            publishers: foreign(publishers),
            subscribers: foreign(subscribers),
            own: Authenticator {
                publish_keys: publish.clone(),
                subscribe_keys: subscribe.clone(),
                tokens: TokenVerifier::new(tokens.clone(), key_set.cloned(), rules.clone()),
            },
        }
    }

    pub(super) fn of(&self, role: Role) -> &Authenticator {
        match role {
            Role::Own => &self.own,
            Role::Publisher => &self.publishers,
            Role::Subscriber => &self.subscribers,
        }
    }

    /// Every credential that is accepted now, as whatever.
    pub(super) fn credentials(&self) -> HashSet<CredentialId> {
        let all = [&self.own, &self.publishers, &self.subscribers];
        all.into_iter().flat_map(Authenticator::credentials).collect()
    }
}
