//! The keys that tokens are signed and verified with.

use std::path::Path;

use fanfare_auth::TokenSecret;
use fanfare_files::read_bounded;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::commands::CommandError;
use crate::commands::hub_args::variable;

/// The longest file of a key that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;
/// The variable by which the hub, too, is told its secret.
const VARIABLE: &str = "FANFARE_JWT_SECRET";

/// The secret: as given, or as the hub would be told it.
pub(super) fn secret(given: Option<&str>) -> Result<Option<TokenSecret>, CommandError> {
    let from_environment = if given.is_none() { variable(VARIABLE)? } else { None };
    let text = given.or(from_environment.as_deref());
    Ok(text.map(TokenSecret::parse).transpose()?)
}

/// A private key in PEM, and the algorithms it may sign with, of which one will do.
pub(super) fn private(path: &Path) -> Result<(EncodingKey, &'static [Algorithm]), CommandError> {
    let pem = read(path)?;
    let key = EncodingKey::from_ed_pem(&pem)
        .map(|key| (key, &[Algorithm::EdDSA][..]))
        .or_else(|_| {
            EncodingKey::from_ec_pem(&pem)
                .map(|key| (key, &[Algorithm::ES256, Algorithm::ES384][..]))
        })
        .or_else(|_| EncodingKey::from_rsa_pem(&pem).map(|key| (key, &[Algorithm::RS256][..])));
    key.map_err(|_| CommandError::NoKey { path: path.to_owned(), kind: "private" })
}

/// A public key in PEM that fits `algorithm`.
pub(super) fn public(path: &Path, algorithm: Algorithm) -> Result<DecodingKey, CommandError> {
    let pem = read(path)?;
    let key = match algorithm {
        Algorithm::EdDSA => DecodingKey::from_ed_pem(&pem),
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(&pem),
        _ => DecodingKey::from_rsa_pem(&pem),
    };
    key.map_err(|_| CommandError::NoKey { path: path.to_owned(), kind: "public" })
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    read_bounded(path, LONGEST_FILE)
        .map_err(|source| CommandError::KeyFile { path: path.to_owned(), source })
}
