//! What strangers can send to a hub that speaks Mercure's protocol.

use std::sync::Arc;

use fanfare_event::{EventId, EventType, Topic};
use fanfare_mercure::{
    Expected, Matcher, MatcherType, MercureRights, MercureSubscription, MercureUrl, Update,
    name_of, topic_of,
};
use serde_json::Value;

fn hub() -> Arc<MercureUrl> {
    Arc::new(MercureUrl::parse("https://hub.example.com/.well-known/mercure").expect("a hub's URL"))
}

/// A form, as an update and as a subscription.
#[allow(dead_code, reason = "each fuzz target uses one of them")]
pub(crate) fn form(input: &[u8]) {
    let Ok(form) = std::str::from_utf8(input) else { return };
    let hub = hub();
    if let Ok(update) = Update::parse(form, 1000, &hub) {
        assert!(!update.topics.is_empty() && update.data.len() <= 1000);
        let names = update.topics.iter().map(Topic::as_str);
        let names = names.chain(update.id.as_ref().map(EventId::as_str));
        for text in names.chain(update.event_type.as_ref().map(EventType::as_str)) {
            assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
        }
        for topic in &update.topics {
            let name = name_of(topic);
            assert!(name != "*" && !hub.owns(&name), "{name}");
        }
        assert!(
            update.id.is_none_or(|id| !id.as_str().starts_with('#') && id.as_str() != "earliest")
        );
        assert!(update.event_type.is_none_or(|kind| kind.as_str() != Update::RESERVED_TYPE));
    }
    let (query, body) = form.split_once('\n').unwrap_or((form, ""));
    if let Ok(asked) = MercureSubscription::parse(query, Some(body), &hub) {
        assert!(!asked.matchers.is_empty());
        let _ = asked.selector();
    }
}

/// A matcher, a line end, a topic: what it matches, its native pattern does.
#[allow(dead_code, reason = "each fuzz target uses one of them")]
pub(crate) fn matcher(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let Some((text, name)) = input.split_once('\n') else { return };
    let Ok(topic) = topic_of(name) else { return };
    assert_eq!(name_of(&topic), name);
    for kind in [MatcherType::Exact, MatcherType::UrlPattern, MatcherType::Older] {
        let Ok(matcher) = Matcher::parse(kind, text, &hub()) else { continue };
        assert_eq!(matcher.as_str(), text);
        let matches = matcher.matches(name);
        if kind == MatcherType::Exact {
            assert_eq!(matches, text == "*" || text == name);
        }
        assert_eq!(matcher.into_pattern().matches(&topic), matches, "{text:?} {name:?}");
    }
}

/// Claims, as both kinds of token: what grants something was well formed.
#[allow(dead_code, reason = "each fuzz target uses one of them")]
pub(crate) fn claims(input: &[u8]) {
    let Ok(Value::Object(claims)) = serde_json::from_slice(input) else { return };
    let audiences = ["hub".to_owned()];
    let expected = Expected { issuers: &[], audiences: &audiences };
    let hub = hub();
    if let Ok(rights) = MercureRights::read(Some("at+jwt"), &claims, expected, &hub) {
        assert!(claims["iss"].is_string() && claims["exp"].is_number());
        let granted = rights.publish.len() + rights.subscribe.len();
        assert!(granted == 0 || claims["authorization_details"].is_array());
        let _ = rights.payloads.of("a");
    }
    if MercureRights::read(None, &claims, expected, &hub).is_ok() {
        assert!(claims.contains_key("mercure") || claims.contains_key("https://mercure.rocks/"));
    }
}
