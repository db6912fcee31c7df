//! A key set that an identity provider maintains (RFC 7517), fetched and remembered.
//!
//! What must hold: a token that names a known key waits for nobody. One that names another waits for
//! the provider only among a few, and no longer than [`Jwks::KEY_SET_TIMEOUT`]; the others are answered at
//! once. The provider is asked one question at a time, and at most once in [`Jwks::INTERVAL`], however
//! many tokens name keys it does not have, and also when whoever sent one hangs up; while it cannot be
//! reached, the keys it gave last stay.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::Pending;
use crate::credential_id::CredentialId;
use crate::verification_key::VerificationKey;

/// Where a key set comes from.
pub trait FetchKeys: Send + Sync {
    /// The set as it is now, in JSON. Must end by itself, and hold no more than
    /// [`Jwks::MAX_BYTES`].
    fn fetch(&self) -> Pending<'_, Result<Bytes, FetchError>>;
}

/// Why a key set could not be fetched.
pub type FetchError = Box<dyn Error + Send + Sync>;

/// A remembered key set. Cloning it gives another hand on the same.
#[derive(Clone)]
pub struct Jwks(Arc<Provider>);

struct Provider {
    source: Box<dyn FetchKeys>,
    interval: Duration,
    keys: RwLock<Arc<UsableKeys>>,
    state: Mutex<ProviderState>,
    /// Told of each attempt that has ended.
    ended: watch::Sender<()>,
    waiters: Semaphore,
}

/// Whether the provider is being asked, and how it was the last time.
#[derive(Debug, Default)]
struct ProviderState {
    asking: bool,
    last: Option<Attempt>,
}

/// An attempt under way; ends when it is dropped, also by a panic.
struct Asking {
    provider: Arc<Provider>,
    succeeded: bool,
}

/// The keys of a set that are of use here.
#[derive(Debug, Default)]
struct UsableKeys {
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

    /// How long a token that names an unknown key may wait for the provider.
    pub const KEY_SET_TIMEOUT: Duration = Duration::from_secs(2);
    /// How long an answer of the provider may take.
    pub const DEADLINE: Duration = Duration::from_secs(10);

    /// Knows no key until it is first asked for one. At most `waiters` tokens wait for the provider
    /// at once.
    pub fn new(source: Box<dyn FetchKeys>, interval: Duration, waiters: usize) -> Self {
        Self(Arc::new(Provider {
            source,
            interval,
            keys: RwLock::default(),
            state: Mutex::default(),
            ended: watch::Sender::new(()),
            waiters: Semaphore::new(waiters),
        }))
    }

    /// Which keys it holds now.
    pub(crate) fn credentials(&self) -> Vec<CredentialId> {
        let keys = Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner));
        keys.named.values().chain(&keys.unnamed).map(|key| key.id().clone()).collect()
    }

    /// Asks for the set and remembers it. To be called now and then, so that keys the provider
    /// has withdrawn are forgotten.
    pub async fn refresh(&self) {
        let mut ended = self.0.ended.subscribe();
        if let Some(asking) = Asking::begin(&self.0, |_| true) {
            asking.ask().await;
        } else {
            // What is being asked already is as fresh.
            let _ = ended.changed().await;
        }
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
        let mut ended = self.0.ended.subscribe();
        let interval = self.0.interval;
        let due = |last: Option<Attempt>| last.is_none_or(|last| last.at.elapsed() >= interval);
        if let Some(asking) = Asking::begin(&self.0, due) {
            // A task of its own: the request that began it may be given up at any time.
            tokio::spawn(asking.ask());
        }
        if self.0.is_asking() {
            // Who finds too many waiting is told at once that it cannot be told now.
            let _place = self.0.waiters.try_acquire().map_err(|_| Unavailable)?;
            let _ = timeout(Self::KEY_SET_TIMEOUT, ended.changed()).await;
        }
        let succeeded = self.0.state().last.is_some_and(|last| last.succeeded);
        match self.0.known(kid, algorithm) {
            None if self.0.is_asking() || !succeeded => Err(Unavailable),
            found => Ok(found),
        }
    }
}

impl Asking {
    /// Begins to ask, unless somebody does already or it is not due by the last attempt.
    fn begin(provider: &Arc<Provider>, due: impl FnOnce(Option<Attempt>) -> bool) -> Option<Self> {
        let mut state = provider.state();
        if state.asking || !due(state.last) {
            return None;
        }
        state.asking = true;
        Some(Self { provider: Arc::clone(provider), succeeded: false })
    }

    async fn ask(mut self) {
        let late = || Err(format!("no answer within {:?}", Jwks::DEADLINE).into());
        let fetched = timeout(Jwks::DEADLINE, self.provider.source.fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| late());
        let keys = fetched.and_then(|answer| UsableKeys::parse(&answer).map_err(FetchError::from));
        match keys {
            Ok(keys) => {
                let mut known = self.provider.keys.write().unwrap_or_else(PoisonError::into_inner);
                *known = Arc::new(keys);
                drop(known);
                self.succeeded = true;
            }
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "the key set for tokens could not be fetched");
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let attempt = Attempt { at: Instant::now(), succeeded: self.succeeded };
        *self.provider.state() = ProviderState { asking: false, last: Some(attempt) };
        self.provider.ended.send_replace(());
    }
}

impl Provider {
    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<VerificationKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).find(kid, algorithm)
    }

    fn state(&self) -> MutexGuard<'_, ProviderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_asking(&self) -> bool {
        self.state().asking
    }
}

impl UsableKeys {
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
    use std::task::{Context, Poll};

    use super::*;

    const ED: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    /// Answers that are given one after the other, and then none.
    struct Answers(Mutex<VecDeque<String>>);

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
        Jwks::new(Box::new(Answers(Mutex::new(answers.to_vec().into()))), interval, 2)
    }

    async fn knows(jwks: &Jwks, kid: &str) -> Result<bool, Unavailable> {
        jwks.find(Some(kid), Algorithm::EdDSA).await.map(|key| key.is_some())
    }

    #[tokio::test]
    async fn a_flood_of_unknown_names_does_not_reach_the_provider() {
        let jwks = jwks(Duration::from_secs(3600), &[named("a"), named("b")]);
        assert_eq!(knows(&jwks, "a").await, Ok(true));
        assert_eq!(knows(&jwks, "b").await, Ok(false), "it was asked a moment ago");
        jwks.refresh().await;
        assert_eq!(knows(&jwks, "b").await, Ok(true));
        assert_eq!(knows(&jwks, "a").await, Ok(false), "it has been withdrawn");
    }

    #[tokio::test]
    async fn whoever_hangs_up_does_not_reach_the_provider_again() {
        let jwks = jwks(Duration::from_secs(3600), &[named("a"), named("b")]);
        let mut asking = Box::pin(knows(&jwks, "b"));
        let begun = |context: &mut Context<'_>| Poll::Ready(asking.as_mut().poll(context));
        assert!(poll_fn(begun).await.is_pending());
        drop(asking);
        assert_eq!(knows(&jwks, "a").await, Ok(true));
        assert_eq!(knows(&jwks, "b").await, Ok(false), "it was asked a moment ago");
    }

    #[tokio::test]
    async fn the_keys_outlive_the_provider() {
        let jwks = jwks(Duration::ZERO, &["no keys".to_owned(), named("a")]);
        assert_eq!(knows(&jwks, "a").await, Err(Unavailable));
        assert_eq!(knows(&jwks, "a").await, Ok(true));
        assert_eq!(knows(&jwks, "b").await, Err(Unavailable), "it may be a new one");
        assert_eq!(knows(&jwks, "a").await, Ok(true));
    }

    /// A provider that never answers, once it has.
    struct Hanging(Mutex<Option<String>>);

    impl FetchKeys for Hanging {
        fn fetch(&self) -> Pending<'_, Result<Bytes, FetchError>> {
            let answer = self.0.lock().unwrap().take();
            Box::pin(async {
                match answer {
                    Some(answer) => Ok(answer.into()),
                    None => std::future::pending().await,
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_for_a_provider_that_hangs() {
        let hanging = Hanging(Mutex::new(Some(named("a"))));
        let jwks = Arc::new(Jwks::new(Box::new(hanging), Duration::ZERO, 2));
        jwks.refresh().await;
        let waiting: Vec<_> = (0..2)
            .map(|n| {
                let jwks = Arc::clone(&jwks);
                tokio::spawn(async move { knows(&jwks, &format!("x{n}")).await })
            })
            .collect();
        while jwks.0.waiters.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let before = tokio::time::Instant::now();
        for n in 0..100 {
            assert_eq!(knows(&jwks, &format!("y{n}")).await, Err(Unavailable));
            assert_eq!(knows(&jwks, "a").await, Ok(true), "a known key waits for nobody");
        }
        assert_eq!(before.elapsed(), Duration::ZERO);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Err(Unavailable));
        }
        assert_eq!(before.elapsed(), Jwks::KEY_SET_TIMEOUT);
        tokio::time::sleep(Jwks::DEADLINE).await;
        assert!(!jwks.0.is_asking(), "it is asked for ever");
    }

    #[test]
    fn a_set_holds_only_what_signatures_may_be_held_against() {
        let of_no_use = [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            ED.replacen('{', r#"{"use":"enc","#, 1),
            ED.replacen('{', r#"{"use":"SIG","#, 1),
            ED.replacen('{', r#"{"key_ops":["sign"],"#, 1),
            ED.replacen('{', r#"{"key_ops":[],"#, 1),
            ED.replacen('{', r#"{"use":"sig","key_ops":["encrypt"],"#, 1),
            ED.replacen('{', r#"{"alg":"RS256","#, 1),
            ED.replace("Ed25519", "Ed448"),
            r#"{"kty":"new"}"#.to_owned(),
            "1".to_owned(),
        ];
        for key in &of_no_use {
            let parsed = UsableKeys::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
            assert!(matches!(parsed, Err(InvalidKeySet::NoKeys)), "{key}");
        }
        let named = ED.replacen('{', r#"{"use":"sig","key_ops":["sign","verify"],"#, 1);
        assert!(UsableKeys::parse(format!(r#"{{"keys":[{named}]}}"#).as_bytes()).is_ok());
        let all = format!(r#"{{"keys":[{},{ED}]}}"#, of_no_use.join(","));
        let keys = UsableKeys::parse(all.as_bytes()).unwrap();
        assert!(keys.find(None, Algorithm::EdDSA).is_some());
        assert!(keys.find(None, Algorithm::HS256).is_none());
        let two = UsableKeys::parse(format!(r#"{{"keys":[{ED},{ED}]}}"#).as_bytes()).unwrap();
        assert!(two.find(None, Algorithm::EdDSA).is_none(), "it would be a guess");
        let long = " ".repeat(Jwks::MAX_BYTES + 1);
        assert!(matches!(UsableKeys::parse(long.as_bytes()), Err(InvalidKeySet::TooLong(_))));
        let many = vec![ED; Jwks::MAX_KEYS + 50].join(",");
        let many = UsableKeys::parse(format!(r#"{{"keys":[{many}]}}"#).as_bytes()).unwrap();
        assert_eq!(many.unnamed.len(), Jwks::MAX_KEYS);
    }
}
