//! An idempotency key: whose it is, what it is called, and what it was sent with.

use std::fmt;

/// A key as logs keep it: 1 to 255 visible ASCII characters, spaces inside allowed, which nobody
/// need understand but this module.
///
/// Of one made by [`IdempotencyKey::of`], the text is `<owner>.<name>.<content>`, a digest each.
/// Any other text is the name of a key that belongs to nobody and says nothing of its content.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// A text that is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to {} visible ASCII characters", IdempotencyKey::MAX_BYTES)]
pub struct InvalidKey;

/// A digest that a key is made of. Whoever chooses what is digested must not be able to find a
/// second text with the same one.
pub type KeyDigest = [u8; 16];

impl IdempotencyKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 255;
    /// How long a digest is as text.
    const DIGEST: usize = 2 * size_of::<KeyDigest>();

    /// Checks a text and makes it a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidKey)
        }
    }

    /// The key that `owner` has given this name, sent with this content.
    pub fn of(owner: KeyDigest, name: KeyDigest, content: KeyDigest) -> Self {
        let [owner, name, content] = [owner, name, content].map(u128::from_be_bytes);
        Self(format!("{owner:032x}.{name:032x}.{content:032x}").into())
    }

    /// The key as it is to be kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells it from all other keys, whatever it was sent with.
    pub fn identity(&self) -> &str {
        self.parts().map_or(&self.0, |(identity, _)| identity)
    }

    /// What it was sent with; empty for a key that does not say.
    pub fn content(&self) -> &str {
        self.parts().map_or("", |(_, content)| content)
    }

    /// Whose it is; empty for a key that does not say.
    pub(crate) fn owner(&self) -> &str {
        self.parts().and_then(|(identity, _)| identity.get(..Self::DIGEST)).unwrap_or_default()
    }

    fn parts(&self) -> Option<(&str, &str)> {
        const AT: [usize; 2] = [IdempotencyKey::DIGEST, 2 * IdempotencyKey::DIGEST + 1];
        let bytes = self.0.as_bytes();
        let whole = bytes.len() == 3 * Self::DIGEST + 2 && AT.iter().all(|&at| bytes[at] == b'.');
        if whole { Some((&self.0[..AT[1]], &self.0[AT[1] + 1..])) } else { None }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
