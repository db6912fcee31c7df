//! `fanfare token inspect`.

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use fanfare_event::Timestamp;
use fanfare_files::read_to_bound;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::key;
use crate::commands::CommandError;
use crate::commands::terminal::Output;
use crate::commands::token_fault::TokenFault;

/// The longest token that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What `fanfare token inspect` is asked.
#[derive(Debug, Args)]
#[command(
    after_help = "The exit code is 1 for a token that has expired, is not yet valid or has no \
    exp, and for one that the given key does not verify; standard error says which."
)]
pub(crate) struct InspectArgs {
    /// The token; without it, or as `-`, it is read from standard input
    #[arg(value_name = "TOKEN", default_value = "-", hide_default_value = true)]
    token: String,
    /// Secret to verify it with: itself, or the content of @FILE [env: FANFARE_JWT_SECRET]
    #[arg(long, value_name = "SECRET|@FILE", conflicts_with = "public_key")]
    secret: Option<String>,
    /// Public key in PEM to verify it with
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// Prints what a token says, as JSON.
pub(super) fn inspect(args: &InspectArgs) -> Result<(), CommandError> {
    let text = read(&args.token)?;
    let token = text.trim();
    let mut parts = token.split('.').map(part);
    let (Some(header), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), token.split('.').nth(2), token.split('.').nth(3))
    else {
        return Err(CommandError::NotAToken("it has not three parts with dots between them"));
    };
    let (header, claims) = (header?, claims?);
    let verified = verified(args, token)?;
    let now = Timestamp::now().as_millis() / 1000;
    let left_until = |claim: &str| {
        claims[claim].as_f64().map(|at| (at as i64).saturating_sub(now.cast_signed()))
    };
    let expires_in = left_until("exp");
    let expired = expires_in.is_some_and(|left| left <= 0);
    let problem = if verified == Some(false) {
        Some(TokenFault::Unverified)
    } else if expires_in.is_none() {
        Some(TokenFault::NoExpiry)
    } else if expired {
        Some(TokenFault::Expired)
    } else {
        let early = left_until("nbf").is_some_and(|left| left > 0);
        early.then(|| TokenFault::Early(time(&claims["nbf"])))
    };
    let report = json!({
        "header": header,
        "claims": claims,
        "expires_in": expires_in,
        "expired": expired,
        "verified": verified,
    });
    let mut output = Output::new();
    output.line(format_args!("{report:#}"))?;
    output.flush()?;
    problem.map_or(Ok(()), |fault| Err(CommandError::BadToken(fault)))
}

/// A time as people write it, where it is one.
fn time(seconds: &Value) -> String {
    let at = seconds
        .as_f64()
        .filter(|&at| at >= 0.0)
        .map(|at| Timestamp((at as u64).saturating_mul(1_000)));
    let at = at.filter(|&at| at <= Timestamp::MAX_SHOWN);
    at.map_or_else(|| seconds.to_string(), |at| at.to_string())
}

fn read(token: &str) -> Result<String, CommandError> {
    if token != "-" {
        return Ok(token.to_owned());
    }
    let bytes = read_to_bound(io::stdin(), LONGEST).map_err(CommandError::Input)?;
    String::from_utf8(bytes).map_err(|_| CommandError::NotAToken("it is not UTF-8"))
}

fn part(text: &str) -> Result<Value, CommandError> {
    let bytes = URL_SAFE_NO_PAD.decode(text);
    let bytes = bytes.map_err(|_| CommandError::NotAToken("a part is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| CommandError::NotAToken("a part is not JSON"))
}

/// Whether the signature is good; nothing where there is no key to tell.
fn verified(args: &InspectArgs, token: &str) -> Result<Option<bool>, CommandError> {
    let unknown = || CommandError::NotAToken("its algorithm is unknown");
    let algorithm = decode_header(token).map_err(|_| unknown())?.alg;
    let symmetric = matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
    let key = match &args.public_key {
        // A token that names a symmetric algorithm must never be checked against a public key.
        Some(_) if symmetric => return Ok(Some(false)),
        Some(path) => key::public(path, algorithm)?,
        None => match key::secret(args.secret.as_deref())? {
            Some(_) if !symmetric => return Ok(args.secret.is_some().then_some(false)),
            Some(secret) => DecodingKey::from_secret(secret.secret().expose().as_bytes()),
            None => return Ok(None),
        },
    };
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    Ok(Some(decode::<Value>(token, &key, &validation).is_ok()))
}
