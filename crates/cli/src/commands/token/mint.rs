//! `fanfare token mint`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fanfare_event::{Pattern, Timestamp};
use fanfare_settings::parse_duration;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::key;
use crate::commands::CommandError;
use crate::commands::terminal::Output;

const EXAMPLES: &str = "\
Examples:
  For a service that publishes orders, with the secret the hub was given:
    FANFARE_JWT_SECRET=@secret fanfare token mint --publish 'orders/**' --subject shop
  For a page that may watch one order for an hour:
    fanfare token mint --secret @secret --subscribe orders/17 --expires-in 1h";

/// What `fanfare token mint` is asked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MintArgs {
    /// Let the holder publish to these topics; `*` is one segment, `**` any number; repeatable
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    publish: Vec<Pattern>,
    /// Let the holder subscribe to these topics; repeatable
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    subscribe: Vec<Pattern>,
    /// Let the holder see and do what operators may
    #[arg(long)]
    admin: bool,
    /// Whose token it is: streams are counted for each subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// How long it holds
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    expires_in: Duration,
    /// Who issues it, where the hub asks for that (--jwt-issuer)
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// For whom it is meant, where the hub asks for that (--jwt-audience)
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// Secret to sign with by HS256: itself, or the content of @FILE [env: FANFARE_JWT_SECRET]
    #[arg(long, value_name = "SECRET|@FILE", conflicts_with = "private_key")]
    secret: Option<String>,
    /// Private key in PEM to sign with: RSA, P-256, P-384 or Ed25519
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
}

/// Prints a token.
pub(super) fn mint(args: &MintArgs) -> Result<(), CommandError> {
    if args.publish.is_empty() && args.subscribe.is_empty() && !args.admin {
        let problem = "say what the token is good for: --publish, --subscribe, --admin";
        return Err(CommandError::Flags(problem));
    }
    let (key, algorithms) = match &args.private_key {
        Some(path) => key::private(path)?,
        None => match key::secret(args.secret.as_deref())? {
            Some(secret) => {
                let secret = secret.secret().expose().as_bytes();
                (EncodingKey::from_secret(secret), &[Algorithm::HS256][..])
            }
            None => {
                let problem = "give --secret, --private-key or FANFARE_JWT_SECRET to sign with";
                return Err(CommandError::Flags(problem));
            }
        },
    };
    let claims = claims(args);
    let mut signed = Err(ErrorKind::InvalidAlgorithm.into());
    for algorithm in algorithms {
        signed = encode(&Header::new(*algorithm), &claims, &key);
        if signed.is_ok() {
            break;
        }
    }
    let mut output = Output::new();
    output.line(signed.map_err(CommandError::Sign)?)?;
    output.flush()
}

fn claims(args: &MintArgs) -> Value {
    let now = Timestamp::now().as_millis() / 1000;
    let mut claims = json!({ "iat": now, "exp": now + args.expires_in.as_secs() });
    for (name, value) in [("sub", &args.subject), ("iss", &args.issuer), ("aud", &args.audience)] {
        if let Some(value) = value {
            claims[name] = value.as_str().into();
        }
    }
    for (right, patterns) in [("publish", &args.publish), ("subscribe", &args.subscribe)] {
        if !patterns.is_empty() {
            claims["fanfare"][right] = patterns.iter().map(Pattern::as_str).collect();
        }
    }
    if args.admin {
        claims["fanfare"]["admin"] = true.into();
    }
    claims
}
