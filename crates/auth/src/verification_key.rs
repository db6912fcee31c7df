//! A verification key: what a token's signature is held against.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::credential_id::CredentialId;
use crate::secret::Secret;

/// A key, and the only algorithms it verifies. They follow from what the key is, so that a token
/// cannot have a public key taken for a shared secret (RFC 8725, 2.1, 3.1).
#[derive(Clone)]
pub struct VerificationKey {
    key: DecodingKey,
    algorithms: &'static [Algorithm],
    id: CredentialId,
    /// Whose alone it is.
    issuer: Option<Arc<str>>,
}

/// Why a text is not a public key to verify tokens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicKey {
    /// It is the other half.
    #[error(
        "that is a private key, which only the issuer of tokens may hold: give its public half"
    )]
    Private,
    /// It is a certificate.
    #[error("that is a certificate: extract the key with `openssl x509 -pubkey -noout -in FILE`")]
    Certificate,
    /// It is something else.
    #[error("write a public key in PEM (-----BEGIN PUBLIC KEY-----): RSA, P-256, P-384 or Ed25519")]
    Unknown,
}

const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const P256: &[Algorithm] = &[Algorithm::ES256];
const P384: &[Algorithm] = &[Algorithm::ES384];
const ED25519: &[Algorithm] = &[Algorithm::EdDSA];

impl VerificationKey {
    /// The fewest bytes of a shared secret: the strength of HS256 (RFC 7518, 3.2). A shorter one
    /// can be found out from a single token.
    pub const LEAST_SECRET: usize = 32;

    /// A secret shared with the issuer: HS256, HS384, HS512.
    pub fn from_secret(secret: &Secret) -> Self {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        let id = CredentialId::of(secret.expose().as_bytes());
        Self { key, algorithms: HMAC, id, issuer: None }
    }

    /// A public key in PEM: RS and PS for RSA, ES256 for P-256, ES384 for P-384, EdDSA for
    /// Ed25519.
    ///
    /// # Errors
    ///
    /// If the text is anything else; [`InvalidPublicKey`] says what to give instead.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidPublicKey> {
        let text = String::from_utf8_lossy(pem);
        if text.contains("PRIVATE KEY-----") {
            return Err(InvalidPublicKey::Private);
        }
        if text.contains("BEGIN CERTIFICATE-----") {
            return Err(InvalidPublicKey::Certificate);
        }
        let (key, algorithms) = if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            (key, ED25519)
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            // An uncompressed point: a byte, and two coordinates of the curve's size.
            let algorithms = match key.try_get_as_bytes().map(<[u8]>::len) {
                Ok(65) => P256,
                Ok(97) => P384,
                _ => return Err(InvalidPublicKey::Unknown),
            };
            (key, algorithms)
        } else if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            (key, RSA)
        } else {
            return Err(InvalidPublicKey::Unknown);
        };
        let id = CredentialId::of(key.try_get_as_bytes().unwrap_or(pem));
        Ok(Self { key, algorithms, id, issuer: None })
    }

    /// A key of a set (RFC 7517), if it is public and for signatures. `None` for those that are
    /// not of use here: a shared secret that is published is none.
    pub(crate) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        // What it may be used for, where the set says so (RFC 7517, 4.3).
        let verifies = |operations: &Vec<_>| operations.contains(&KeyOperations::Verify);
        if !jwk.common.key_operations.as_ref().is_none_or(verifies) {
            return None;
        }
        let algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA,
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => P256,
                EllipticCurve::P384 => P384,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                ED25519
            }
            _ => return None,
        };
        let algorithms = match jwk.common.key_algorithm {
            // The set may narrow the list (RFC 7517, 4.4), not widen it.
            Some(only) => {
                let only = only.to_string().parse().ok()?;
                let at = algorithms.iter().position(|algorithm| *algorithm == only)?;
                &algorithms[at..=at]
            }
            None => algorithms,
        };
        let id = CredentialId::of(&serde_json::to_vec(&jwk.algorithm).ok()?);
        Some(Self { key: DecodingKey::from_jwk(jwk).ok()?, algorithms, id, issuer: None })
    }

    /// The same, as the key of this issuer alone.
    pub fn of_issuer(self, issuer: &str) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// Whose alone it is, if it is one's.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Which key it is.
    pub(crate) fn id(&self) -> &CredentialId {
        &self.id
    }

    /// The key, if it verifies this algorithm.
    pub(crate) fn for_algorithm(&self, algorithm: Algorithm) -> Option<&DecodingKey> {
        self.algorithms.contains(&algorithm).then_some(&self.key)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}
