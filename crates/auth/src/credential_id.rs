//! The id of a credential: what a right was proved with, so that it can be taken back.

use std::fmt;
use std::sync::Arc;

use crate::secret_digest::SecretDigest;

/// Which access key, or which key for tokens. Says nothing of the key to whoever sees it, as long as
/// nobody can guess the key. Cloning costs one reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// What each begins with, and no subject of a token may.
    pub(crate) const MARK: char = '\0';

    pub(crate) fn of(key: &[u8]) -> Self {
        Self::of_digest(SecretDigest::of_bytes(key))
    }

    /// The id of the access key with this digest.
    pub(crate) fn of_digest(digest: SecretDigest) -> Self {
        Self(format!("{}{}", Self::MARK, digest.to_text()).into())
    }

    /// The id as [`CredentialId::to_text`] writes it.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        SecretDigest::from_text(text).map(Self::of_digest)
    }

    /// The id as text that a file or a header can hold.
    pub(crate) fn to_text(&self) -> &str {
        self.0.trim_start_matches(Self::MARK)
    }

    /// The id as a text that no subject of a token is.
    pub fn name(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialId(hidden)")
    }
}
