//! An issuer of tokens, with keys of every kind, made afresh.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A private key, and its public half in PEM.
pub(crate) struct Issuer {
    signing: EncodingKey,
    /// `-----BEGIN PUBLIC KEY-----`.
    pub(crate) public_pem: String,
    /// As a key set lists it, where the kind is one that the tests list.
    pub(crate) jwk: Value,
    /// Removed with it.
    directory: tempfile::TempDir,
}

impl Issuer {
    pub(crate) fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private =
            aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair);
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let signing =
            EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.unwrap().as_ref()).as_bytes());
        let [n, e] = [pair.public_key().modulus(), pair.public_key().exponent()]
            .map(|number| URL_SAFE_NO_PAD.encode(number.big_endian_without_leading_zero()));
        let jwk = json!({"kty": "RSA", "use": "sig", "n": n, "e": e});
        Self::new(signing.unwrap(), public.as_ref(), jwk)
    }

    pub(crate) fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    pub(crate) fn p384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Self {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let private = pair.to_pkcs8v1().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let signing = EncodingKey::from_ec_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes());
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
        let jwk = json!({"kty": "EC", "crv": curve, "x": x, "y": y});
        Self::new(signing.unwrap(), public.as_ref(), jwk)
    }

    pub(crate) fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let private = pair.to_pkcs8v1().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let signing = EncodingKey::from_ed_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes());
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        Self::new(signing.unwrap(), public.as_ref(), jwk)
    }

    fn new(signing: EncodingKey, public: &[u8], jwk: Value) -> Self {
        let public_pem = pem("PUBLIC KEY", public);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("public.pem"), &public_pem).unwrap();
        Self { signing, public_pem, jwk, directory }
    }

    /// The file that holds the public key.
    pub(crate) fn public_file(&self) -> PathBuf {
        self.path().join("public.pem")
    }

    /// A directory for whatever else a test writes.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Signs claims.
    pub(crate) fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &self.signing).unwrap()
    }

    /// Signs claims and names the key.
    pub(crate) fn sign_as(&self, kid: &str, algorithm: Algorithm, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        encode(&header, claims, &self.signing).unwrap()
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// A secret for tokens.
pub(crate) const SECRET: &str = "a secret of the tests, which is long enough";

/// Signs claims with a shared secret.
pub(crate) fn sign_with_secret(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// A token of HS256 with [`SECRET`].
pub(crate) fn token(claims: &Value) -> String {
    sign_with_secret(Algorithm::HS256, SECRET, claims)
}

/// Claims that are good for an hour, everywhere.
pub(crate) fn good_claims() -> Value {
    claims("ada", 3600.0, &json!({"publish": ["**"], "subscribe": ["**"]}))
}

/// Claims of a subject with these rights, good for so many seconds.
pub(crate) fn claims(subject: &str, seconds: f64, rights: &Value) -> Value {
    json!({"sub": subject, "exp": now() + seconds, "fanfare": rights})
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The header that carries a credential.
pub(crate) fn bearer(credential: &str) -> String {
    format!("Bearer {credential}")
}
