//! A cut: the word that the streams of a subject are to end, or those that a credential let in.

use std::sync::Arc;
use std::time::Instant;

/// Whose streams end, and which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Whose, or the name of the credential.
    pub subject: Arc<str>,
    /// When it was said, which may be a while ago where it was said elsewhere. A stream whose
    /// credentials were verified later is not meant.
    pub at: Instant,
}
