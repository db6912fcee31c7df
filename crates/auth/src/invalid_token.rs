//! What can be wrong with a token, for whoever reads or verifies one.

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is not a signed token at all, and no access key either.
    #[error("the credentials are not valid")]
    Malformed,
    /// No key is meant for the algorithm it names, or it names a key that is not known.
    #[error("the token is signed with an algorithm or a key that is not accepted")]
    Key,
    /// The signature is another's.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// Someone else issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is meant for someone else.
    #[error("the token is meant for another audience")]
    Audience,
    /// A claim is missing or of the wrong kind.
    #[error("the token lacks a claim, or holds one that cannot be read")]
    Claims,
}

impl InvalidToken {
    /// Whether nobody who is trusted has made it: it may be a guess.
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Malformed | Self::Key | Self::Signature)
    }
}
