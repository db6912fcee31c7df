//! The keys that tokens are signed and verified with.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::commands::CommandError;

/// The shortest secret, in bytes: as long as what HS256 makes of it (RFC 7518, 3.2).
const LEAST_SECRET: usize = 32;
/// The longest file of a key that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;
/// The variable by which the hub, too, is told its secret.
const VARIABLE: &str = "FANFARE_JWT_SECRET";

/// The secret: as given, or as the hub would be told it. A line end at the end of a file does not
/// belong to it.
pub(super) fn secret(given: Option<&str>) -> Result<Option<String>, CommandError> {
    let from_environment = || std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
    let Some(text) = given.map(str::to_owned).or_else(from_environment) else { return Ok(None) };
    let secret = match text.strip_prefix('@') {
        Some(path) => read(Path::new(path))?.trim_end_matches(['\r', '\n']).to_owned(),
        None => text,
    };
    if secret.len() < LEAST_SECRET {
        let problem = format!(
            "a secret for tokens has at least {LEAST_SECRET} bytes, this one has {}; \
             `openssl rand -hex 32` makes one",
            secret.len()
        );
        return Err(CommandError::TokenKey(problem));
    }
    Ok(Some(secret))
}

/// A private key in PEM, and the algorithms it may sign with, of which one will do.
pub(super) fn private(path: &Path) -> Result<(EncodingKey, &'static [Algorithm]), CommandError> {
    let pem = read(path)?;
    let pem = pem.as_bytes();
    let key = EncodingKey::from_ed_pem(pem)
        .map(|key| (key, &[Algorithm::EdDSA][..]))
        .or_else(|_| {
            EncodingKey::from_ec_pem(pem)
                .map(|key| (key, &[Algorithm::ES256, Algorithm::ES384][..]))
        })
        .or_else(|_| EncodingKey::from_rsa_pem(pem).map(|key| (key, &[Algorithm::RS256][..])));
    key.map_err(|_| unreadable(path, "private"))
}

/// A public key in PEM that fits `algorithm`.
pub(super) fn public(path: &Path, algorithm: Algorithm) -> Result<DecodingKey, CommandError> {
    let pem = read(path)?;
    let pem = pem.as_bytes();
    let key = match algorithm {
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
        _ => DecodingKey::from_rsa_pem(pem),
    };
    key.map_err(|_| unreadable(path, "public"))
}

fn unreadable(path: &Path, kind: &str) -> CommandError {
    CommandError::TokenKey(format!(
        "{}: it holds no {kind} key in PEM that fits: RSA, P-256, P-384 or Ed25519",
        path.display()
    ))
}

fn read(path: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text))
        .map_err(|source| CommandError::TokenFile { path: path.to_owned(), source })?;
    Ok(text)
}
