//! A key set that an identity provider maintains (RFC 7517), fetched and remembered.
//!
//! What must hold: a token that names a known key waits for nobody; the provider is asked at most
//! once in [`Jwks::INTERVAL`], however many tokens name keys it does not have; while it cannot be
//! reached, the keys it gave last stay.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::Pending;
use crate::verification_key::VerificationKey;

/// Where a key set comes from.
pub trait FetchKeys: Send + Sync {
    /// The set as it is now, in JSON. Must end by itself, and hold no more than
    /// [`Jwks::MAX_BYTES`].
    fn fetch(&self) -> Pending<'_, Result<Bytes, FetchError>>;
}

/// Why a key set could not be fetched.
pub type FetchError = Box<dyn Error + Send + Sync>;

/// A remembered key set.
pub struct Jwks {
    source: Box<dyn FetchKeys>,
    interval: Duration,
    keys: RwLock<Arc<Keys>>,
    attempt: Mutex<Option<Attempt>>,
}

/// The keys of a set that are of use here.
#[derive(Debug, Default)]
struct Keys {
    named: HashMap<String, Arc<VerificationKey>>,
    unnamed: Vec<Arc<VerificationKey>>,
}

/// The last time that the set was asked for.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    at: Instant,
    succeeded: bool,
}

/// Whether a token is good cannot be told at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys that tokens are verified with cannot be fetched at the moment")]
pub struct Unavailable;

/// Why an answer is not a key set.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeySet {
    /// It is too long.
    #[error("it has {0} bytes, at most {max} are read", max = Jwks::MAX_BYTES)]
    TooLong(usize),
    /// It is not an object with a list of keys.
    #[error("it is not a JSON Web Key Set")]
    Syntax(#[from] serde_json::Error),
    /// None of its keys is of use here.
    #[error("it holds no public key for signatures: RSA, P-256, P-384 or Ed25519")]
    NoKeys,
}

impl Jwks {
    /// The longest set that is read, in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// The most keys that are remembered.
    pub const MAX_KEYS: usize = 100;
    /// How long passes at least between two times that the set is asked for because of a token.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Knows no key until it is first asked for one.
    pub fn new(source: Box<dyn FetchKeys>, interval: Duration) -> Self {
        Self { source, interval, keys: RwLock::default(), attempt: Mutex::default() }
    }

    /// Asks for the set and remembers it. To be called now and then, so that keys the provider
    /// has withdrawn are forgotten.
    pub async fn refresh(&self) {
        let mut attempt = self.attempt.lock().await;
        *attempt = Some(self.ask().await);
    }

    /// The key that a token names, or the one for its algorithm if it names none and there is no
    /// choice.
    pub(crate) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<VerificationKey>>, Unavailable> {
        if let Some(key) = self.known(kid, algorithm) {
            return Ok(Some(key));
        }
        let mut attempt = self.attempt.lock().await;
        // Whoever held the lock may have found it.
        if let Some(key) = self.known(kid, algorithm) {
            return Ok(Some(key));
        }
        let last = match *attempt {
            Some(last) if last.at.elapsed() < self.interval => last,
            _ => *attempt.insert(self.ask().await),
        };
        drop(attempt);
        match self.known(kid, algorithm) {
            None if !last.succeeded => Err(Unavailable),
            found => Ok(found),
        }
    }

    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<VerificationKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).find(kid, algorithm)
    }

    async fn ask(&self) -> Attempt {
        let fetched = self.source.fetch().await;
        let keys = fetched.and_then(|answer| Keys::parse(&answer).map_err(FetchError::from));
        let succeeded = match keys {
            Ok(keys) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                true
            }
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "the key set for tokens could not be fetched");
                false
            }
        };
        Attempt { at: Instant::now(), succeeded }
    }
}

impl Keys {
    fn parse(text: &[u8]) -> Result<Self, InvalidKeySet> {
        #[derive(Deserialize)]
        struct Set {
            /// One key that cannot be read must not hide the others (RFC 7517, 5).
            keys: Vec<serde_json::Value>,
        }
        if text.len() > Jwks::MAX_BYTES {
            return Err(InvalidKeySet::TooLong(text.len()));
        }
        let set: Set = serde_json::from_slice(text)?;
        let mut keys = Self::default();
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let of_use = jwks.filter_map(|jwk| {
            let key = VerificationKey::from_jwk(&jwk)?;
            Some((jwk.common.key_id, Arc::new(key)))
        });
        for (kid, key) in of_use.take(Jwks::MAX_KEYS) {
            match kid {
                Some(kid) => drop(keys.named.insert(kid, key)),
                None => keys.unnamed.push(key),
            }
        }
        if keys.named.is_empty() && keys.unnamed.is_empty() {
            return Err(InvalidKeySet::NoKeys);
        }
        Ok(keys)
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<VerificationKey>> {
        if let Some(kid) = kid {
            return self.named.get(kid).cloned();
        }
        let mut fitting = self
            .named
            .values()
            .chain(&self.unnamed)
            .filter(|key| key.for_algorithm(algorithm).is_some());
        let only = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(only))
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("interval", &self.interval).finish_non_exhaustive()
    }
}
