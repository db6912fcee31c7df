//! A signed request (RFC 8555, 6.2).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Shared, State};

/// The key that an account is known by.
#[derive(Debug, Clone)]
pub(super) struct AccountKey {
    point: Vec<u8>,
    pub(super) thumbprint: String,
    pub(super) contacts: Vec<String>,
}

/// A request whose signature, nonce and address are right.
pub(super) struct Signed {
    /// The number of the account, or for a new one its key.
    pub(super) by: Result<usize, AccountKey>,
    /// Nothing, where something is only asked for.
    pub(super) payload: Option<Value>,
}

/// Why a request is refused: the type of the problem, and the detail.
pub(super) type Fault = (&'static str, String);

impl AccountKey {
    fn of(jwk: &Value) -> Result<Self, Fault> {
        let part = |name: &str| decode(jwk[name].as_str().unwrap_or_default());
        let (x, y) = (part("x")?, part("y")?);
        if (jwk["kty"] != "EC") || (jwk["crv"] != "P-256") || x.len() != 32 || y.len() != 32 {
            return Err(("badPublicKey", jwk.to_string()));
        }
        // RFC 7638: these members, in this order, and no space.
        let canonical =
            format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        Ok(Self { point: [&[4], &*x, &*y].concat(), thumbprint, contacts: Vec::new() })
    }
}

impl State {
    pub(super) fn new_nonce(&mut self) -> String {
        let nonce = format!("{:032x}", fastrand::u128(..));
        self.nonces.insert(nonce.clone());
        nonce
    }
}

impl Shared {
    /// Checks a request that was posted to `path`.
    pub(super) fn verify(&self, path: &str, body: &[u8]) -> Result<Signed, Fault> {
        let malformed = |what: &str| ("malformed", what.to_owned());
        let body: Value = serde_json::from_slice(body).map_err(|_| malformed("not JSON"))?;
        let text = |name: &str| body[name].as_str().ok_or(malformed(name));
        let (protected, payload) = (text("protected")?, text("payload")?);
        let signature = decode(text("signature")?)?;
        let header: Value = serde_json::from_slice(&decode(protected)?)
            .map_err(|_| malformed("the header is not JSON"))?;
        if header["alg"] != "ES256" {
            return Err(("badSignatureAlgorithm", header.to_string()));
        }
        if header["url"] != self.url(path).as_str() {
            return Err(("unauthorized", format!("signed for {}", header["url"])));
        }
        let mut state = self.lock();
        let nonce = header["nonce"].as_str().unwrap_or_default();
        state.posts += 1;
        // Now and then a nonce is too old, which is nobody's fault.
        if !state.nonces.remove(nonce) || state.posts.is_multiple_of(5) {
            return Err(("badNonce", nonce.to_owned()));
        }
        let by = match (&header["jwk"], header["kid"].as_str()) {
            (Value::Null, Some(kid)) => {
                let number = kid.strip_prefix(&self.url("account/"));
                let number = number.and_then(|number| number.parse().ok());
                match number {
                    Some(number) if number < state.accounts.len() => Ok(number),
                    _ => return Err(("accountDoesNotExist", kid.to_owned())),
                }
            }
            (jwk, None) => Err(AccountKey::of(jwk)?),
            _ => return Err(malformed("either jwk or kid")),
        };
        let key = match &by {
            Ok(number) => &state.accounts[*number],
            Err(key) => key,
        };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point)
            .verify(format!("{protected}.{payload}").as_bytes(), &signature)
            .map_err(|_| ("malformed", "the signature is wrong".to_owned()))?;
        let payload = decode(payload)?;
        let payload = if payload.is_empty() {
            None
        } else {
            Some(serde_json::from_slice(&payload).map_err(|_| malformed("payload"))?)
        };
        Ok(Signed { by, payload })
    }
}

pub(super) fn problem((kind, detail): &Fault) -> String {
    json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail}).to_string()
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|error| ("malformed", error.to_string()))
}
