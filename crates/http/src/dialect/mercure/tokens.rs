//! Tokens of Mercure's protocol, as the hub's authentication is told of them.

use std::sync::Arc;

use fanfare_auth::{Granted, InvalidToken, Note, PublishGrant, ReadClaims, SubscribeGrant};
use fanfare_mercure::{Expected, InvalidClaims, MercureRights, MercureUrl};
use serde_json::{Map, Value};

/// Reads what tokens of Mercure's protocol claim.
#[derive(Debug, Clone)]
pub struct MercureTokens {
    /// Where clients find the hub.
    pub hub: Arc<MercureUrl>,
    /// The issuers that are trusted; anyone who has a key, if empty.
    pub issuers: Vec<String>,
    /// Whom tokens may be meant for, beside the hub's URL.
    pub audiences: Vec<String>,
    /// Whether what is told of their bearers' subscriptions is kept.
    pub keeps_payloads: bool,
}

impl MercureTokens {
    /// For a hub with this URL.
    pub fn new(hub: Arc<MercureUrl>, issuers: Vec<String>, mut audiences: Vec<String>) -> Self {
        audiences.push(hub.as_str().to_owned());
        Self { hub, issuers, audiences, keeps_payloads: false }
    }
}

impl ReadClaims for MercureTokens {
    fn read(
        &self,
        kind: Option<&str>,
        claims: &Map<String, Value>,
    ) -> Result<Granted, InvalidToken> {
        let expected = Expected { issuers: &self.issuers, audiences: &self.audiences };
        let rights = MercureRights::read(kind, claims, expected, &self.hub).map_err(fault)?;
        let MercureRights { publish, subscribe, payloads } = rights;
        let note = (self.keeps_payloads && !payloads.is_empty()).then(|| Note::of(payloads));
        Ok(Granted {
            note,
            publish: PublishGrant::new(publish),
            subscribe: SubscribeGrant::new(subscribe),
        })
    }
}

fn fault(invalid: InvalidClaims) -> InvalidToken {
    match invalid {
        InvalidClaims::Issuer => InvalidToken::Issuer,
        InvalidClaims::Audience => InvalidToken::Audience,
        InvalidClaims::Kind
        | InvalidClaims::Missing(_)
        | InvalidClaims::Details
        | InvalidClaims::TooMuch => InvalidToken::Claims,
    }
}
