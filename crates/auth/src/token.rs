//! Tokens: signed claims (RFC 7519), verified as RFC 8725 asks.

use std::collections::HashSet;
use std::sync::Arc;

use fanfare_event::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header};

use crate::claims::Claims;
use crate::credential_id::CredentialId;
use crate::foreign_claims::{ForeignClaims, ReadClaims};
use crate::invalid_token::InvalidToken;
use crate::jwks::{Jwks, Unavailable};
use crate::principal::Principal;
use crate::verification_key::VerificationKey;

/// Verifies tokens.
#[derive(Debug, Default)]
pub struct TokenVerifier {
    keys: Vec<VerificationKey>,
    key_set: Option<Jwks>,
    rules: TokenRules,
    /// Who reads what they claim; `None` where it is what Fanfare's own tokens do.
    reader: Option<Arc<dyn ReadClaims>>,
}

/// What tokens must say of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// Who may have issued them; anybody with a key, if empty.
    pub issuers: Vec<String>,
    /// Whom they may be meant for; anybody, if empty.
    pub audiences: Vec<String>,
    /// The issuers that have keys of their own: no other key is good for them, and theirs for nobody else.
    pub bound: Vec<String>,
    /// Whose alone the keys of the set are; anyone's who is not bound, if `None`.
    pub key_set_issuer: Option<String>,
}

/// Why a token is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It will not be, either.
    #[error(transparent)]
    Invalid(#[from] InvalidToken),
    /// The keys to verify it with cannot be had at the moment.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The longest token that is looked at, in bytes.
const MAX_BYTES: usize = 16 * 1024;

impl TokenVerifier {
    /// Trusts tokens signed with one of `keys`, or one of a set, and which obey `rules`.
    pub fn new(keys: Vec<VerificationKey>, key_set: Option<Jwks>, rules: TokenRules) -> Self {
        Self { keys, key_set, rules, reader: None }
    }

    /// Trusts tokens signed with one of `keys`, or one of a set, whose claims `reader` reads, and holds against its own
    /// rules. Of `rules` it counts whose keys are whose.
    pub fn foreign(
        keys: Vec<VerificationKey>,
        key_set: Option<Jwks>,
        rules: TokenRules,
        reader: Arc<dyn ReadClaims>,
    ) -> Self {
        // Who may issue tokens, and for whom, is the reader's to say.
        let rules = TokenRules { issuers: Vec::new(), audiences: Vec::new(), ..rules };
        Self { keys, key_set, rules, reader: Some(reader) }
    }

    /// Whether no token can be trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.key_set.is_none()
    }

    /// Which keys verify tokens now.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = CredentialId> + '_ {
        let set = self.key_set.iter().flat_map(Jwks::credentials);
        self.keys.iter().map(|key| key.id().clone()).chain(set)
    }

    /// The key set that others maintain, if there is one.
    pub fn key_set(&self) -> Option<&Jwks> {
        self.key_set.as_ref()
    }

    /// Whom a token makes of its bearer at `now`. Waits only for a key set that does not hold the
    /// key the token names.
    ///
    /// # Errors
    ///
    /// See [`Untrusted`]. The first rule broken is named, once the signature has been found right.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, Untrusted> {
        if token.len() > MAX_BYTES {
            return Err(InvalidToken::Malformed.into());
        }
        let header = decode_header(token).map_err(|error| fault(error.kind()))?;
        if header.crit.is_some() {
            // Extensions that must be understood, and are not (RFC 7515, 4.1.11).
            return Err(InvalidToken::Malformed.into());
        }
        let mut found = None;
        for key in &self.keys {
            match self.verify_with(token, key, key.issuer(), &header, now) {
                // Another of the keys may be the right one.
                Err(InvalidToken::Key) => {}
                Err(InvalidToken::Issuer) => found = Some(InvalidToken::Issuer),
                Err(InvalidToken::Signature) => found = found.or(Some(InvalidToken::Signature)),
                verified => return verified.map_err(Into::into),
            }
        }
        if let Some(key_set) = &self.key_set
            && let Some(key) = key_set.find(header.kid.as_deref(), header.alg).await?
        {
            let issuer = self.rules.key_set_issuer.as_deref();
            return Ok(self.verify_with(token, &key, issuer, &header, now)?);
        }
        Err(found.unwrap_or(InvalidToken::Key).into())
    }

    fn verify_with(
        &self,
        token: &str,
        verification: &VerificationKey,
        issuer: Option<&str>,
        header: &Header,
        now: Timestamp,
    ) -> Result<Principal, InvalidToken> {
        let algorithm = header.alg;
        let key = verification.for_algorithm(algorithm).ok_or(InvalidToken::Key)?;
        let TokenRules { issuers, audiences, .. } = &self.rules;
        let mut rules = Validation::new(algorithm);
        rules.leeway = 0;
        rules.validate_nbf = true;
        let required = [("iss", issuers), ("aud", audiences)].into_iter();
        let required = required.filter(|(_, names)| !names.is_empty());
        rules.required_spec_claims.extend(required.map(|(claim, _)| claim.to_owned()));
        let set =
            |names: &[String]| (!names.is_empty()).then(|| HashSet::from_iter(names.to_vec()));
        rules.iss = set(issuers);
        rules.aud = set(audiences);
        rules.validate_aud = rules.aud.is_some();
        let mut principal = if let Some(reader) = &self.reader {
            // Whether there must be an end is for the reader to say.
            rules.required_spec_claims.clear();
            let claims: ForeignClaims =
                decode(token, key, &rules).map_err(|error| fault(error.kind()))?.claims;
            self.rules.check(issuer, claims.issuer())?;
            claims.into_principal(header.typ.as_deref(), &**reader)?
        } else {
            let claims: Claims =
                decode(token, key, &rules).map_err(|error| fault(error.kind()))?.claims;
            self.rules.check(issuer, claims.issuer())?;
            claims.into_principal().ok_or(InvalidToken::Claims)?
        };
        // The library counts in whole seconds.
        if principal.expires.is_some_and(|end| end <= now) {
            return Err(InvalidToken::Expired);
        }
        principal.credential = Some(verification.id().clone());
        Ok(principal)
    }
}

impl TokenRules {
    /// Refuses a token whose issuer is another than that of the key that verified it.
    fn check(&self, of_key: Option<&str>, claimed: Option<&str>) -> Result<(), InvalidToken> {
        let fits = match of_key {
            Some(of_key) => claimed == Some(of_key),
            None => !self.bound.iter().any(|bound| claimed == Some(bound)),
        };
        if fits { Ok(()) } else { Err(InvalidToken::Issuer) }
    }
}

fn fault(kind: &ErrorKind) -> InvalidToken {
    match kind {
        ErrorKind::InvalidSignature => InvalidToken::Signature,
        ErrorKind::ExpiredSignature => InvalidToken::Expired,
        ErrorKind::ImmatureSignature => InvalidToken::NotYet,
        ErrorKind::InvalidIssuer => InvalidToken::Issuer,
        ErrorKind::InvalidAudience => InvalidToken::Audience,
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::Json(_)
        | ErrorKind::InvalidSubject => InvalidToken::Claims,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::MissingAlgorithm => InvalidToken::Key,
        _ => InvalidToken::Malformed,
    }
}
