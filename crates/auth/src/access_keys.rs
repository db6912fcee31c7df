//! Access keys: secrets that stand for a right by themselves.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::credential_id::CredentialId;
use crate::secret::Secret;

/// The access keys for one right, kept as digests.
#[derive(Debug, Clone, Default)]
pub struct AccessKeys(Vec<(KeyDigest, CredentialId)>);

/// A digest that tells access keys apart and does not give them away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl AccessKeys {
    /// These keys.
    pub fn new(keys: &[Secret]) -> Self {
        let known =
            |key: &Secret| (KeyDigest::of(key.expose()), CredentialId::of(key.expose().as_bytes()));
        Self(keys.iter().map(known).collect())
    }

    /// Which key was presented, if it is one. Every key is compared, in constant time.
    pub fn find(&self, presented: &str) -> Option<(KeyDigest, CredentialId)> {
        let presented = KeyDigest::of(presented);
        let same =
            |known: &&(KeyDigest, _)| verify_slices_are_equal(&known.0.0, &presented.0).is_ok();
        self.0.iter().filter(same).fold(None, |_, known| Some(known.clone()))
    }

    /// Which keys these are.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &CredentialId> {
        self.0.iter().map(|(_, id)| id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl KeyDigest {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest as text, in base64 for URLs.
    pub(crate) fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }

    pub(crate) fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    pub(crate) fn of_bytes(content: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, content).as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_a_key_is_taken_for_it() {
        let keys = ["first", "second"].map(|key| Secret::new(key.to_owned(), 1).unwrap());
        let keys = AccessKeys::new(&keys);
        assert!(keys.find("second").is_some());
        for text in ["", "secon", "secondx", "Second", "second "] {
            assert!(keys.find(text).is_none(), "{text:?}");
        }
    }
}
