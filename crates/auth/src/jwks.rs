//! A key set that an identity provider maintains (RFC 7517), fetched and remembered.
//!
//! What must hold: a token that names a known key waits for nobody; the provider is asked at most
//! once in [`Jwks::INTERVAL`], however many tokens name keys it does not have, and also when whoever
//! sent one hangs up; while it cannot be reached, the keys it gave last stay.

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
pub struct Jwks(Arc<Provider>);

struct Provider {
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
        let (keys, attempt) = (RwLock::default(), Mutex::default());
        Self(Arc::new(Provider { source, interval, keys, attempt }))
    }

    /// Asks for the set and remembers it. To be called now and then, so that keys the provider
    /// has withdrawn are forgotten.
    pub async fn refresh(&self) {
        let mut attempt = self.0.attempt.lock().await;
        *attempt = Some(self.0.ask().await);
    }

    /// The key that a token names, or the one for its algorithm if it names none and there is no
    /// choice.
    pub(crate) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<VerificationKey>>, Unavailable> {
        if let Some(key) = self.0.known(kid, algorithm) {
            return Ok(Some(key));
        }
        // A task of its own: the request that began it may be given up at any time.
        let provider = Arc::clone(&self.0);
        let asked = tokio::spawn(async move { provider.ask_if_due().await }).await;
        match self.0.known(kid, algorithm) {
            None if !asked.is_ok_and(|attempt| attempt.succeeded) => Err(Unavailable),
            found => Ok(found),
        }
    }
}

impl Provider {
    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<VerificationKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).find(kid, algorithm)
    }

    /// Asks, unless that was done a moment ago, or is being done.
    async fn ask_if_due(&self) -> Attempt {
        let mut attempt = self.attempt.lock().await;
        match *attempt {
            Some(last) if last.at.elapsed() < self.interval => last,
            _ => *attempt.insert(self.ask().await),
        }
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
        f.debug_struct("Jwks").field("interval", &self.0.interval).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::{Future as _, poll_fn};
    use std::sync::Mutex as Script;
    use std::task::{Context, Poll};

    use super::*;

    const ED: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    /// Answers that are given one after the other, and then none.
    struct Answers(Script<VecDeque<String>>);

    impl FetchKeys for Answers {
        fn fetch(&self) -> Pending<'_, Result<Bytes, FetchError>> {
            let answer = self.0.lock().unwrap().pop_front();
            Box::pin(async { Ok(answer.ok_or("nobody answers")?.into()) })
        }
    }

    fn named(kid: &str) -> String {
        let key = ED.replacen('{', &format!(r#"{{"kid":"{kid}","#), 1);
        format!(r#"{{"keys":[{key}]}}"#)
    }

    fn jwks(interval: Duration, answers: &[String]) -> Jwks {
        Jwks::new(Box::new(Answers(Script::new(answers.to_vec().into()))), interval)
    }

    async fn knows(jwks: &Jwks, kid: &str) -> Result<bool, Unavailable> {
        jwks.find(Some(kid), Algorithm::EdDSA).await.map(|key| key.is_some())
    }

    #[tokio::test]
    async fn a_flood_of_unknown_names_reaches_the_provider() {
        let jwks = jwks(Duration::from_secs(3600), &[named("a"), named("b")]);
        assert_eq!(knows(&jwks, "a").await, Ok(true));
        assert_eq!(knows(&jwks, "b").await, Ok(false), "it was asked a moment ago");
        jwks.refresh().await;
        assert_eq!(knows(&jwks, "b").await, Ok(true));
        assert_eq!(knows(&jwks, "a").await, Ok(false), "it has been withdrawn");
    }

    #[tokio::test]
    async fn whoever_hangs_up_may_reach_the_provider_again() {
        let jwks = jwks(Duration::from_secs(3600), &[named("a"), named("b")]);
        let mut asking = Box::pin(knows(&jwks, "b"));
        let begun = |context: &mut Context<'_>| Poll::Ready(asking.as_mut().poll(context));
        assert!(poll_fn(begun).await.is_pending());
        drop(asking);
        assert_eq!(knows(&jwks, "a").await, Ok(true));
        assert_eq!(knows(&jwks, "b").await, Ok(false), "it was asked a moment ago");
    }

    #[tokio::test]
    async fn the_keys_go_with_the_provider() {
        let jwks = jwks(Duration::ZERO, &["no keys".to_owned(), named("a")]);
        assert_eq!(knows(&jwks, "a").await, Err(Unavailable));
        assert_eq!(knows(&jwks, "a").await, Ok(true));
        assert_eq!(knows(&jwks, "b").await, Err(Unavailable), "it may be a new one");
        assert_eq!(knows(&jwks, "a").await, Ok(true));
    }

    #[test]
    fn a_set_holds_what_no_signature_may_be_held_against() {
        let of_no_use = [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            ED.replacen('{', r#"{"use":"enc","#, 1),
            ED.replacen('{', r#"{"alg":"RS256","#, 1),
            ED.replace("Ed25519", "Ed448"),
            r#"{"kty":"new"}"#.to_owned(),
            "1".to_owned(),
        ];
        for key in &of_no_use {
            let parsed = Keys::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
            assert!(matches!(parsed, Err(InvalidKeySet::NoKeys)), "{key}");
        }
        let all = format!(r#"{{"keys":[{},{ED}]}}"#, of_no_use.join(","));
        let keys = Keys::parse(all.as_bytes()).unwrap();
        assert!(keys.find(None, Algorithm::EdDSA).is_some());
        assert!(keys.find(None, Algorithm::HS256).is_none());
        let two = Keys::parse(format!(r#"{{"keys":[{ED},{ED}]}}"#).as_bytes()).unwrap();
        assert!(two.find(None, Algorithm::EdDSA).is_none(), "it would be a guess");
        let long = " ".repeat(Jwks::MAX_BYTES + 1);
        assert!(matches!(Keys::parse(long.as_bytes()), Err(InvalidKeySet::TooLong(_))));
        let many = vec![ED; Jwks::MAX_KEYS + 50].join(",");
        let many = Keys::parse(format!(r#"{{"keys":[{many}]}}"#).as_bytes()).unwrap();
        assert_eq!(many.unnamed.len(), Jwks::MAX_KEYS);
    }
}
