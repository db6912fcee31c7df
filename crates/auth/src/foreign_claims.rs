//! Claims that are not Fanfare's own: what another protocol's tokens say.
//!
//! What must hold: they are read once their signature has been found right, and as a whole or not at all.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::claims::{Seconds, subject};
use crate::grant::{PublishGrant, SubscribeGrant};
use crate::invalid_token::InvalidToken;
use crate::note::Note;
use crate::principal::{Identity, Principal};
use crate::secret_digest::SecretDigest;

/// Reads what the claims of a protocol's tokens grant.
pub trait ReadClaims: fmt::Debug + Send + Sync {
    /// What the claims of a token grant, whose header says that it is of this kind (`typ`).
    ///
    /// # Errors
    ///
    /// The token is of another kind, issuer or audience, or cannot be understood.
    fn read(
        &self,
        kind: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Result<Granted, InvalidToken>;
}

/// What a token grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// Where its bearer may publish.
    pub publish: PublishGrant,
    /// What its bearer may listen to, also where it is private.
    pub subscribe: SubscribeGrant,
    /// What its reader wants to find again.
    pub note: Option<Note>,
}

/// All claims of a token.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ForeignClaims(Map<String, Value>);

impl ForeignClaims {
    /// Who issued the token, if it says so.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.0.get("iss").and_then(Value::as_str)
    }

    /// Whose token it is, and what `reader` finds that it grants.
    pub(crate) fn into_principal(
        self,
        kind: Option<&str>,
        reader: &dyn ReadClaims,
    ) -> Result<Principal, InvalidToken> {
        let Granted { publish, subscribe, note } = reader.read(kind, &self.0)?;
        let text = |name| match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(InvalidToken::Claims),
        };
        let issuer = text("iss")?;
        let identity = match text("sub")? {
            Some(name) => subject(name, issuer).ok_or(InvalidToken::Claims)?,
            None => {
                Identity::Bearer(SecretDigest::of(&format!("{issuer:?} {publish:?} {subscribe:?}")))
            }
        };
        let expires = match self.0.get("exp") {
            None => None,
            Some(end) => {
                let end = end.as_f64().ok_or(InvalidToken::Claims)?;
                Some(Seconds(end).timestamp())
            }
        };
        let (admin, credential) = (false, None);
        Ok(Principal { identity, publish, subscribe, admin, expires, credential, note })
    }
}
