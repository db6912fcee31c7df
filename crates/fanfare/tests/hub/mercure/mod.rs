//! What clients of Mercure's protocol rely on: one file for each way in which they could be disappointed. Names of
//! tests are those that `docs/mercure.md` gives for each demand of the specification.

mod confused_languages;
mod divided_presence;
mod false_beginning;
mod forged_update;
mod greedy_stranger;
mod leaked_update;
mod lost_presence;
mod misread_matcher;
mod refused_sdk;
mod unclear_challenge;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::issuer::now;
use crate::support::{Hub, Response, Subscriber, Subscription};

/// Where the protocol is spoken.
const PATH: &str = "/.well-known/mercure";
/// The hub's URL, as tokens name it.
const URL: &str = "https://hub.example.com/.well-known/mercure";
const ISSUER: &str = "https://issuer.example.com";
/// The secret for development, which a hub without keys trusts.
const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";
const DETAIL: &str = "https://mercure.rocks/authorization-detail";
const FORM: &str = "application/x-www-form-urlencoded";

/// The hub's URL and the issuer of its tokens.
const MERCURE: [&str; 5] = ["--mercure", "--mercure-url", URL, "--jwt-issuer", ISSUER];

/// A hub for development.
fn hub() -> Hub {
    hub_with(&[])
}

/// A hub with these arguments beside its URL and the issuer of its tokens.
fn hub_with(arguments: &[&str]) -> Hub {
    Hub::start(&[&MERCURE, arguments].concat())
}

/// A hub that knows no one without a token, and whose tokens are signed with [`SECRET`].
fn guarded_hub(arguments: &[&str]) -> Hub {
    hub_with(&[&["--jwt-secret", SECRET], arguments].concat())
}

/// Signs claims, in a token of this type.
fn sign(kind: Option<&str>, claims: &Value) -> String {
    sign_with(SECRET, kind, claims)
}

fn sign_with(secret: &str, kind: Option<&str>, claims: &Value) -> String {
    let header = Header { typ: kind.map(str::to_owned), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// The claims of an access token with these details, good for an hour.
fn claims(details: &Value) -> Value {
    json!({
        "iss": ISSUER, "aud": URL, "sub": "ada", "client_id": "tests", "jti": "1",
        "iat": now().floor(), "exp": (now() + 3600.0).floor(), "authorization_details": details,
    })
}

/// A token with these details.
fn token(details: &Value) -> String {
    sign(Some("at+jwt"), &claims(details))
}

/// A detail that grants these actions on these topics, each named exactly.
fn detail(actions: &[&str], topics: &[&str]) -> Value {
    let topics: Vec<_> = topics.iter().map(|topic| json!({ "match": topic })).collect();
    json!({"type": DETAIL, "actions": actions, "topics": topics})
}

/// A token that publishes everywhere.
fn publisher() -> String {
    token(&json!([detail(&["publish"], &["*"])]))
}

/// A token that may read all that is private.
fn subscriber() -> String {
    token(&json!([detail(&["subscribe"], &["*"])]))
}

/// Posts a form with this token.
fn post(hub: &Hub, token: &str, form: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", &*bearer), ("Content-Type", FORM)];
    let mut publisher = hub.publisher();
    PATH.clone_into(&mut publisher.path);
    publisher.post(&headers, form)
}

/// Publishes what must be accepted; returns the id.
#[track_caller]
fn publish(hub: &Hub, form: &str) -> String {
    let answer = post(hub, &publisher(), form);
    assert_eq!(answer.status, 200, "{form}: {}", answer.text());
    answer.text()
}

/// A subscription with this query.
fn asking(hub: &Hub, query: &str) -> Subscription {
    hub.subscription().at(PATH).query(query)
}

/// Subscribes with this query, which must be accepted.
fn listen(hub: &Hub, query: &str) -> Subscriber {
    asking(hub, query).open()
}

/// Checks what is answered in place of a stream.
#[track_caller]
fn assert_not_a_stream(hub: &Hub, query: &str, status: u16) {
    let (answer, _) = asking(hub, query).ask();
    assert_eq!(answer.status, status, "{query}: {answer:?}");
}
