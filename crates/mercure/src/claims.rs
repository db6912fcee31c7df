//! Claims: what a token grants.
//!
//! Those of 1.0 are an access token's (RFC 9068), with authorization details (RFC 9396); those of before are a
//! claim of Mercure's own. Signature and times are somebody else's to check.

use std::sync::Arc;

use fanfare_event::Pattern;
use serde_json::{Map, Value};

use crate::hub_url::MercureUrl;
use crate::matcher::{Matcher, MatcherType};

/// Of whom tokens are expected, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuers that are trusted; anyone who has a key, if empty.
    pub issuers: &'a [String],
    /// The audiences that a token may be meant for.
    pub audiences: &'a [String],
}

/// What a token grants.
#[derive(Debug, Clone, Default)]
pub struct MercureRights {
    /// Where its bearer may publish.
    pub publish: Vec<Pattern>,
    /// Of which topics its bearer may receive what is private.
    pub subscribe: Vec<Pattern>,
    /// What is told of its bearer's subscriptions.
    pub payloads: Payloads,
}

/// What is told of someone's subscriptions, by their matchers; the first that matches counts.
#[derive(Debug, Clone, Default)]
pub struct Payloads(Vec<(Vec<Matcher>, Payload)>);

type Payload = Arc<Map<String, Value>>;

impl Payloads {
    /// The most bytes of one, as JSON: it goes with each of its bearer's subscriptions.
    pub const MAX_BYTES: usize = 4096;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is told of a subscription with this matcher.
    pub fn of(&self, matcher: &str) -> Option<Arc<Map<String, Value>>> {
        let matches = |granted: &Vec<Matcher>| granted.iter().any(|one| one.matches(matcher));
        self.0.iter().find(|(granted, _)| matches(granted)).map(|(_, payload)| Arc::clone(payload))
    }

    fn add(
        &mut self,
        matchers: Vec<Matcher>,
        payload: &Map<String, Value>,
    ) -> Result<(), InvalidClaims> {
        let written = serde_json::to_vec(payload).map_err(|_| InvalidClaims::Details)?;
        if written.len() > Self::MAX_BYTES {
            return Err(InvalidClaims::TooMuch);
        }
        self.0.push((matchers, Arc::new(payload.clone())));
        Ok(())
    }
}

/// Why claims grant nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaims {
    /// Neither an access token nor one with Mercure's own claim.
    #[error("not an access token (`at+jwt`), and without the older claim `mercure`")]
    Kind,
    /// A claim that access tokens must have is missing, or of the wrong kind.
    #[error("the claim `{0}` is missing, or of the wrong kind")]
    Missing(&'static str),
    /// Someone else issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is meant for someone else.
    #[error("the token is meant for another audience")]
    Audience,
    /// A part of what it grants cannot be understood, so that none of it counts.
    #[error("what the token grants cannot be read")]
    Details,
    /// It grants more than a hub takes.
    #[error(
        "the token has more details, topics or bytes in them, or longer payloads, than are accepted"
    )]
    TooMuch,
}

/// The type of the details that are meant for hubs.
const DETAIL: &str = "https://mercure.rocks/authorization-detail";
/// The claims of before 1.0.
const OLDER: [&str; 2] = ["mercure", "https://mercure.rocks/"];
/// The most details in a token, and the most topics in all of them.
const MAX_DETAILS: usize = 64;
const MAX_TOPICS: usize = 256;

impl MercureRights {
    /// What a token grants at a hub with this URL. `kind` is the `typ` of its header.
    ///
    /// # Errors
    ///
    /// See [`InvalidClaims`]: what cannot be understood as a whole grants nothing.
    pub fn read(
        kind: Option<&str>,
        claims: &Map<String, Value>,
        expected: Expected<'_>,
        hub: &Arc<MercureUrl>,
    ) -> Result<Self, InvalidClaims> {
        if kind.is_some_and(is_access_token) {
            check(claims, expected)?;
            return details(claims.get("authorization_details"), hub);
        }
        let older = OLDER.iter().find_map(|name| claims.get(*name));
        older_rights(older.ok_or(InvalidClaims::Kind)?, hub)
    }
}

/// Whether a token's type is that of access tokens (RFC 9068, 2.1; RFC 7515, 4.1.9).
fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/").unwrap_or(&kind) == "at+jwt"
}

fn check(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<(), InvalidClaims> {
    let issuer = claims.get("iss").and_then(Value::as_str).ok_or(InvalidClaims::Missing("iss"))?;
    if !expected.issuers.is_empty() && !expected.issuers.iter().any(|known| known == issuer) {
        return Err(InvalidClaims::Issuer);
    }
    if !claims.get("exp").is_some_and(Value::is_number) {
        return Err(InvalidClaims::Missing("exp"));
    }
    let is_ours = |name: &Value| {
        name.as_str().is_some_and(|name| expected.audiences.iter().any(|known| known == name))
    };
    let meant = match claims.get("aud") {
        Some(Value::Array(names)) => names.iter().any(is_ours),
        Some(name @ Value::String(_)) => is_ours(name),
        _ => return Err(InvalidClaims::Missing("aud")),
    };
    if meant { Ok(()) } else { Err(InvalidClaims::Audience) }
}

/// The rights of 1.0. One detail that cannot be read spoils all.
fn details(claim: Option<&Value>, hub: &Arc<MercureUrl>) -> Result<MercureRights, InvalidClaims> {
    let Some(claim) = claim else { return Ok(MercureRights::default()) };
    let details = claim.as_array().ok_or(InvalidClaims::Details)?;
    let mut rights = MercureRights::default();
    let mut topics = 0;
    let ours = |detail: &&Value| detail.get("type").and_then(Value::as_str) == Some(DETAIL);
    for (n, detail) in details.iter().filter(ours).enumerate() {
        let actions = strings(detail.get("actions"))?;
        let list = list(detail.get("topics"))?;
        topics += list.len();
        if n >= MAX_DETAILS || topics > MAX_TOPICS {
            return Err(InvalidClaims::TooMuch);
        }
        let matchers: Vec<_> =
            list.iter().map(|entry| matcher(entry, hub)).collect::<Result<_, _>>()?;
        let patterns = || matchers.iter().cloned().map(Matcher::into_pattern);
        if actions.contains(&"publish") {
            rights.publish.extend(patterns());
        }
        let subscribes = actions.contains(&"subscribe");
        if subscribes {
            rights.subscribe.extend(patterns());
        }
        match detail.get("payload") {
            None => {}
            Some(Value::Object(payload)) if subscribes => {
                rights.payloads.add(matchers, payload)?;
            }
            Some(Value::Object(_)) => {}
            Some(_) => return Err(InvalidClaims::Details),
        }
    }
    Ok(rights)
}

/// The rights of the claim from before 1.0.
fn older_rights(claim: &Value, hub: &Arc<MercureUrl>) -> Result<MercureRights, InvalidClaims> {
    let claim = claim.as_object().ok_or(InvalidClaims::Details)?;
    let read = |action: &str| match claim.get(action) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() > MAX_TOPICS => Err(InvalidClaims::TooMuch),
        Some(Value::Array(list)) => {
            list.iter().map(|entry| older_matcher(entry, hub)).collect::<Result<_, _>>()
        }
        Some(_) => Err(InvalidClaims::Details),
    };
    let (publish, subscribe): (Vec<Matcher>, Vec<Matcher>) = (read("publish")?, read("subscribe")?);
    let patterns = |list: Vec<Matcher>| list.into_iter().map(Matcher::into_pattern).collect();
    let mut payloads = Payloads::default();
    if let Some(Value::Object(payload)) = claim.get("payload") {
        payloads.add(vec![Matcher::Every(MatcherType::Older)], payload)?;
    }
    Ok(MercureRights { publish: patterns(publish), subscribe: patterns(subscribe), payloads })
}

fn list(value: Option<&Value>) -> Result<&[Value], InvalidClaims> {
    let list = value.and_then(Value::as_array).ok_or(InvalidClaims::Details)?;
    if list.is_empty() { Err(InvalidClaims::Details) } else { Ok(list) }
}

fn strings(value: Option<&Value>) -> Result<Vec<&str>, InvalidClaims> {
    list(value)?.iter().map(|entry| entry.as_str().ok_or(InvalidClaims::Details)).collect()
}

/// An entry of a detail: an object.
fn matcher(entry: &Value, hub: &Arc<MercureUrl>) -> Result<Matcher, InvalidClaims> {
    let entry = entry.as_object().ok_or(InvalidClaims::Details)?;
    let text = entry.get("match").and_then(Value::as_str).ok_or(InvalidClaims::Details)?;
    let kind = match entry.get("match_type") {
        None => MatcherType::Exact,
        Some(name) => name.as_str().and_then(MatcherType::parse).ok_or(InvalidClaims::Details)?,
    };
    read_matcher(kind, text, hub)
}

/// An entry of the older claim: a text, or an object as in a detail.
fn older_matcher(entry: &Value, hub: &Arc<MercureUrl>) -> Result<Matcher, InvalidClaims> {
    match entry.as_str() {
        Some(text) => read_matcher(MatcherType::Older, text, hub),
        None => matcher(entry, hub),
    }
}

fn read_matcher(
    kind: MatcherType,
    text: &str,
    hub: &Arc<MercureUrl>,
) -> Result<Matcher, InvalidClaims> {
    if text.len() > Matcher::MAX_BYTES {
        return Err(InvalidClaims::TooMuch);
    }
    Matcher::parse(kind, text, hub).map_err(|_| InvalidClaims::Details)
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "claims are written where they are passed")]
mod tests {
    use fanfare_event::Topic;
    use serde_json::json;

    use super::*;
    use crate::matcher::tests::hub;

    const HUB: &str = "https://hub.example.com/.well-known/mercure";

    fn read(kind: &str, claims: Value) -> Result<MercureRights, InvalidClaims> {
        let (issuers, audiences) = (["https://issuer".to_owned()], [HUB.to_owned()]);
        let expected = Expected { issuers: &issuers, audiences: &audiences };
        MercureRights::read(Some(kind), claims.as_object().unwrap(), expected, &hub())
    }

    fn with(details: Value) -> Result<MercureRights, InvalidClaims> {
        read(
            "at+jwt",
            json!({"iss": "https://issuer", "aud": HUB, "exp": 1, "authorization_details": details}),
        )
    }

    fn detail(actions: &[&str], topics: Value) -> Value {
        json!({"type": DETAIL, "actions": actions, "topics": topics})
    }

    fn grants(patterns: &[Pattern], topic: &str) -> bool {
        let topic = Topic::parse(topic).unwrap();
        patterns.iter().any(|pattern| pattern.matches(&topic))
    }

    #[test]
    fn a_detail_grants_its_actions_and_topics() {
        let rights = with(json!([
            detail(&["publish", "new"], json!([{"match": "a"}])),
            detail(&["subscribe"], json!([{"match": "/b/:c", "match_type": "urlpattern"}])),
            detail(&["new"], json!([{"match": "c"}])),
            {"type": "other", "topics": 1},
            "not ours",
        ]))
        .unwrap();
        assert!(grants(&rights.publish, "a") && !grants(&rights.publish, "b"));
        assert!(grants(&rights.subscribe, "/b/1") && !grants(&rights.subscribe, "a"));
        assert!(!grants(&rights.publish, "c") && !grants(&rights.subscribe, "c"));
        let all =
            with(json!([detail(&["publish", "subscribe"], json!([{"match": "*"}]))])).unwrap();
        assert!(grants(&all.publish, "x") && grants(&all.subscribe, "x"));
        assert!(with(json!([])).unwrap().publish.is_empty());
    }

    #[test]
    fn an_unreadable_detail_refuses_the_token() {
        let good = detail(&["publish"], json!([{"match": "a"}]));
        for bad in [
            detail(&[], json!([{"match": "a"}])),
            detail(&["publish"], json!([])),
            detail(&["publish"], json!(["a"])),
            detail(&["publish"], json!([{"match": 1}])),
            detail(&["publish"], json!([{"match_type": "exact"}])),
            detail(&["publish"], json!([{"match": "a", "match_type": "regex"}])),
            detail(&["publish"], json!([{"match": "a", "match_type": "Exact"}])),
            detail(&["publish"], json!([{"match": "a", "match_type": null}])),
            detail(&["publish"], json!([{"match": "https://x/(", "match_type": "urlpattern"}])),
            detail(&["publish"], json!([{"match": "a\n"}])),
            json!({"type": DETAIL, "topics": [{"match": "a"}]}),
            json!({"type": DETAIL, "actions": ["publish", 1], "topics": [{"match": "a"}]}),
            json!({"type": DETAIL, "actions": ["publish"]}),
            json!({"type": DETAIL, "actions": ["subscribe"], "topics": [{"match": "a"}], "payload": 1}),
        ] {
            assert_eq!(with(json!([good, bad])).unwrap_err(), InvalidClaims::Details, "{bad}");
        }
        assert_eq!(with(json!({})).unwrap_err(), InvalidClaims::Details);
        let many = vec![good; MAX_DETAILS + 1];
        assert_eq!(with(json!(many)).unwrap_err(), InvalidClaims::TooMuch);
        let long = detail(&["publish"], json!([{"match": "x".repeat(600)}]));
        assert_eq!(with(json!([long])).unwrap_err(), InvalidClaims::TooMuch);
    }

    #[test]
    fn a_token_for_another_purpose_is_refused() {
        let claims = json!({"iss": "https://issuer", "aud": HUB, "exp": 1});
        for kind in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            assert!(read(kind, claims.clone()).is_ok(), "{kind}");
        }
        for kind in ["JWT", "at+jwt2", "text/at+jwt", ""] {
            assert_eq!(read(kind, claims.clone()).unwrap_err(), InvalidClaims::Kind, "{kind}");
        }
        for (name, value, why) in [
            ("iss", json!(null), InvalidClaims::Missing("iss")),
            ("iss", json!(["https://issuer"]), InvalidClaims::Missing("iss")),
            ("iss", json!("https://other"), InvalidClaims::Issuer),
            ("aud", json!(null), InvalidClaims::Missing("aud")),
            ("aud", json!("https://other"), InvalidClaims::Audience),
            ("aud", json!([]), InvalidClaims::Audience),
            ("exp", json!(null), InvalidClaims::Missing("exp")),
            ("exp", json!("1"), InvalidClaims::Missing("exp")),
        ] {
            let mut claims = claims.clone();
            claims[name] = value;
            assert_eq!(read("at+jwt", claims).unwrap_err(), why, "{name}");
        }
        let mut several = claims;
        several["aud"] = json!(["https://other", HUB]);
        assert!(read("at+jwt", several).is_ok());
    }

    #[test]
    fn the_older_claim_is_read_as_meant() {
        let claim = json!({"publish": ["a", "/b/{id}"], "subscribe": ["*"], "payload": {"k": 1}});
        for name in OLDER {
            let rights = read("JWT", json!({ name: claim })).unwrap();
            assert!(grants(&rights.publish, "a") && grants(&rights.publish, "/b/1"));
            assert!(!grants(&rights.publish, "/b/1/2"));
            assert!(grants(&rights.subscribe, "anything"));
            assert_eq!(rights.payloads.of("x").unwrap()["k"], 1);
        }
        for bad in [json!("a"), json!({"publish": "a"}), json!({"publish": [1]}), json!(null)] {
            assert_eq!(read("JWT", json!({"mercure": bad})).unwrap_err(), InvalidClaims::Details);
        }
        assert!(read("JWT", json!({"mercure": {}})).unwrap().publish.is_empty());
        let mixed = read(
            "at+jwt",
            json!({"iss": "https://issuer", "aud": HUB, "exp": 1, "mercure": claim}),
        );
        assert!(mixed.unwrap().publish.is_empty(), "an access token has details");
    }

    #[test]
    fn a_payload_too_large_is_refused() {
        let long = json!({"n": "x".repeat(Payloads::MAX_BYTES)});
        let mut detail = detail(&["subscribe"], json!([{"match": "*"}]));
        detail["payload"] = long.clone();
        assert_eq!(with(json!([detail])).unwrap_err(), InvalidClaims::TooMuch);
        let older = read("JWT", json!({"mercure": {"payload": long}}));
        assert_eq!(older.unwrap_err(), InvalidClaims::TooMuch);
    }

    #[test]
    fn a_subscription_has_its_own_payload() {
        let payload = |topics: Value, n: u8| {
            let payload = json!({"n": n});
            json!({"type": DETAIL, "actions": ["subscribe"], "topics": topics, "payload": payload})
        };
        let rights = with(json!([
            payload(json!([{"match": "https://example.com/foo"}]), 1),
            payload(
                json!([{"match": "https://example.com/bar/:id", "match_type": "urlpattern"}]),
                2
            ),
            payload(json!([{"match": "*"}]), 3),
        ]))
        .unwrap();
        assert_eq!(rights.payloads.of("https://example.com/foo").unwrap()["n"], 1);
        assert_eq!(rights.payloads.of("https://example.com/bar/:id").unwrap()["n"], 2);
        assert_eq!(rights.payloads.of("https://example.com/baz").unwrap()["n"], 3);
    }
}
