//! A secret: text that is compared and never shown.

use std::fmt;

/// A secret text. Its `Debug` output does not show it. Comparing two takes as long as they are
/// alike: what a client presents is compared by [`AccessKeys`](crate::AccessKeys).
#[derive(Clone, PartialEq, PartialOrd)]
pub struct Secret(String);

/// A secret that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must have at least {least} bytes, this one has {has}; `openssl rand -hex 32` makes one"
)]
pub struct ShortSecret {
    /// How many bytes it has.
    pub has: usize,
    /// How many it needs.
    pub least: usize,
}

impl Secret {
    /// Takes a text of at least `least` bytes.
    pub fn new(text: String, least: usize) -> Result<Self, ShortSecret> {
        match text.len() {
            has if has < least => Err(ShortSecret { has, least }),
            _ => Ok(Self(text)),
        }
    }

    /// The text. Not to be logged, nor sent anywhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::new("correct horse".to_owned(), 1).unwrap();
        assert!(!format!("{secret:?}").contains("horse"));
        let short = Secret::new("horse".to_owned(), 8).unwrap_err();
        assert!(!short.to_string().contains("horse"));
    }
}
