//! An idempotency key: the name of one publish, by which the hub knows it again.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};

use http::HeaderValue;

/// What makes a retry safe: the hub publishes once for a key, and answers its repetition with the
/// first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryKey(HeaderValue);

/// A text that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to {} printable ASCII characters", RetryKey::MAX_BYTES)]
pub struct InvalidRetryKey;

impl RetryKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a text and makes it a key.
    pub fn parse(text: &str) -> Result<Self, InvalidRetryKey> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if !fits || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(InvalidRetryKey);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidRetryKey)
    }

    /// A key that nobody else has: 128 bits, from hashers that the system seeds at random.
    pub fn random() -> Self {
        let bits = || RandomState::new().build_hasher().finish();
        let text = format!("fanfare-{:016x}{:016x}", bits(), bits());
        // Nothing but ASCII letters, digits and a hyphen is in it.
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("fanfare")))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RetryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_publishes_share_a_key() {
        let keys: std::collections::HashSet<_> =
            (0..10_000).map(|_| RetryKey::random().header().to_str().unwrap().to_owned()).collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn a_key_that_the_hub_refuses_is_refused_here() {
        assert!(RetryKey::parse("order 17").is_ok());
        for bad in ["", "a\nb", "é", &"x".repeat(256)] {
            assert_eq!(RetryKey::parse(bad), Err(InvalidRetryKey), "{bad:?}");
        }
    }
}
