//! What the settings say together, and what does not go together.

use fanfare_auth::{PublicKey, TokenSecret};

use crate::{IssuerKey, Settings, SettingsError};

/// The most keys that a token may be held against, one after the other.
const MAX_TOKEN_KEYS: usize = 16;

impl Settings {
    /// Whether anybody is told apart from anybody else.
    pub fn has_credentials(&self) -> bool {
        !self.publish_key.is_empty()
            || !self.publish_key_file.is_empty()
            || !self.subscribe_key.is_empty()
            || !self.subscribe_key_file.is_empty()
            || self.has_token_keys()
            || !self.mercure_publisher_key.is_empty()
            || !self.mercure_subscriber_key.is_empty()
    }

    /// Whether tokens are trusted.
    pub fn has_token_keys(&self) -> bool {
        !self.jwt_secret.is_empty() || !self.jwt_public_key.is_empty() || self.jwks_url.is_some()
    }

    /// Whether everyone who reaches the hub may publish and listen because it can only be reached
    /// from this machine.
    pub fn is_private(&self) -> bool {
        !self.open && !self.has_credentials()
    }

    /// Whether certificates are ordered.
    fn orders(&self) -> bool {
        !self.acme_domain.is_empty()
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.tls_cert.is_some() || self.orders()
    }

    /// Whether an issuer's key is given by another setting.
    fn gives_key(&self, of: &IssuerKey) -> bool {
        let mercure = self.mercure_publisher_key.iter().chain(&self.mercure_subscriber_key);
        let secrets = self.jwt_secret.iter().chain(mercure).filter_map(TokenSecret::path);
        let mut files = secrets.chain(self.jwt_public_key.iter().map(PublicKey::path));
        let is_in_key_set = self.jwks_url.as_ref().is_some_and(|url| of.is_in_key_set(url));
        is_in_key_set || files.any(|file| of.is_in_file(file))
    }

    /// What does not go together.
    pub(crate) fn contradictions(&self) -> Vec<SettingsError> {
        let mut errors = Vec::new();
        if self.data.is_some() && self.redis.is_some() {
            errors.push(SettingsError::Exclusive { one: "data", other: "redis" });
        }
        let pairs = [
            ("tls_cert", self.tls_cert.is_some(), "tls_key", self.tls_key.is_some()),
            ("tls_key", self.tls_key.is_some(), "tls_cert", self.tls_cert.is_some()),
            ("acme_domain", self.orders(), "acme_cache", self.acme_cache.is_some()),
            ("acme_cache", self.acme_cache.is_some(), "acme_domain", self.orders()),
            ("redis_wait_replicas", self.redis_wait_replicas > 0, "redis", self.redis.is_some()),
            ("retain_topic_count", self.retain_topic_count.is_some(), "data", self.data.is_some()),
            ("mercure_url", self.mercure_url.is_some(), "mercure", self.mercure),
            (
                "mercure_publisher_key",
                !self.mercure_publisher_key.is_empty(),
                "mercure",
                self.mercure,
            ),
            (
                "mercure_subscriber_key",
                !self.mercure_subscriber_key.is_empty(),
                "mercure",
                self.mercure,
            ),
            ("mercure_query_token", self.mercure_query_token, "mercure", self.mercure),
            ("mercure_subscriptions", self.mercure_subscriptions, "mercure", self.mercure),
            ("acme_contact", !self.acme_contact.is_empty(), "acme_domain", self.orders()),
        ];
        for (given, is_given, needs, is_there) in pairs {
            if is_given && !is_there {
                errors.push(SettingsError::Alone { given, needs });
            }
        }
        for bound in &self.jwt_issuer_key {
            if !self.gives_key(bound) {
                errors.push(SettingsError::UnknownIssuerKey { bound: bound.to_string() });
            }
        }
        if let Some(max) = self.heartbeat_max
            && max < self.heartbeat
        {
            errors.push(SettingsError::HeartbeatShrinks { max, heartbeat: self.heartbeat });
        }
        let keys = self.jwt_secret.len() + self.jwt_public_key.len();
        if keys > MAX_TOKEN_KEYS {
            errors.push(SettingsError::TooManyTokenKeys { keys, limit: MAX_TOKEN_KEYS });
        }
        if self.tls_cert.is_some() && self.orders() {
            errors.push(SettingsError::Exclusive { one: "tls_cert", other: "acme_domain" });
        }
        if self.is_private() {
            if !self.listen.ip().to_canonical().is_loopback() {
                errors.push(SettingsError::Unprotected { address: self.listen });
            } else if !self.anonymous_subscribe.is_empty() {
                errors.push(SettingsError::OnlyListeners);
            }
        }
        errors
    }
}
