//! Access keys: secrets that stand for a right by themselves.

use crate::credential_id::CredentialId;
use crate::secret::Secret;
use crate::secret_digest::SecretDigest;

/// The access keys for one right, kept as digests.
#[derive(Debug, Clone, Default)]
pub struct AccessKeys(Vec<(SecretDigest, CredentialId)>);

impl AccessKeys {
    /// These keys.
    pub fn new(keys: &[Secret]) -> Self {
        let known = |key: &Secret| {
            (SecretDigest::of(key.expose()), CredentialId::of(key.expose().as_bytes()))
        };
        Self(keys.iter().map(known).collect())
    }

    /// Which key was presented, if it is one. Every key is compared, in constant time.
    pub fn find(&self, presented: &str) -> Option<(SecretDigest, CredentialId)> {
        let presented = SecretDigest::of(presented);
        self.0
            .iter()
            .filter(|known| known.0.is(presented))
            .fold(None, |_, known| Some(known.clone()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_a_key_is_not_taken_for_it() {
        let keys = ["first", "second"].map(|key| Secret::new(key.to_owned(), 1).unwrap());
        let keys = AccessKeys::new(&keys);
        assert!(keys.find("second").is_some());
        for text in ["", "secon", "secondx", "Second", "second "] {
            assert!(keys.find(text).is_none(), "{text:?}");
        }
    }
}
