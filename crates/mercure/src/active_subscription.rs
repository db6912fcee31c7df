//! Active subscriptions: what is told of them, and where it is found.
//!
//! Each has an address under the hub's own, which is also the topic of what is told of it. Clients from before 1.0 find
//! it at a second one, without the type of its matcher. What they look for stands in all documents beside what 1.0
//! wants; at their addresses, documents are as they were.
//!
//! An address is short enough for a topic: of a matcher that is too long, it has the beginning and a digest.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use fanfare_event::{InvalidTopic, Topic};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::hub_url::MercureUrl;
use crate::matcher::MatcherType;

/// A subscriber, by a name of the hub's choice: one connection, whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MercureSubscriberId(u128);

/// One matcher of one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveSubscription {
    /// How its matcher is read.
    pub kind: MatcherType,
    /// Its matcher, as it was written.
    pub matcher: Box<str>,
    /// What its subscriber's token says of it.
    pub payload: Option<Arc<Map<String, Value>>>,
}

/// Which subscriptions are asked for, by an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionsPath {
    /// All.
    All,
    /// Those with this matcher.
    Of(MatcherType, String),
    /// That of one subscriber with this matcher.
    One(MatcherType, String, MercureSubscriberId),
    /// Those with this matcher, whatever its type, as before 1.0.
    OlderOf(String),
    /// That of one subscriber with this matcher, whatever its type, as before 1.0.
    OlderOne(String, MercureSubscriberId),
}

/// The most bytes of a matcher in an address, escaped: what is left of a topic.
const LONGEST: usize =
    Topic::MAX_BYTES - SubscriptionsPath::ROOT.len() - "/urlpattern//".len() - 49;
/// A tilde and sixteen digits.
const DIGEST: usize = 17;

/// What a document says beside the protocol's own, for those who read it as JSON-LD.
const CONTEXT: &str = "https://mercure.rocks/";
/// All but what is unreserved (RFC 6570, 3.2.2).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl MercureSubscriberId {
    const PREFIX: &str = "urn:uuid:";

    /// Of random bits.
    pub fn of(random: [u8; 16]) -> Self {
        // Version 4 of variant 10 (RFC 9562, 5.4).
        let bits = u128::from_be_bytes(random);
        let (version, variant) = ((0xf << 76, 0x4 << 76), (0x3 << 62, 0x2 << 62));
        Self(bits & !(version.0 | variant.0) | version.1 | variant.1)
    }

    /// What [`MercureSubscriberId::of`] makes it of again.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// Reads an id as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.strip_prefix(Self::PREFIX)?.split('-').collect();
        let id = Self(u128::from_str_radix(&digits, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for MercureSubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, node) = (self.0 >> 48, self.0 & 0xffff_ffff_ffff);
        let part = |shift: u32, mask: u128| head >> shift & mask;
        let (low, mid, version, clock) =
            (part(48, 0xffff_ffff), part(32, 0xffff), part(16, 0xffff), part(0, 0xffff));
        write!(f, "{}{low:08x}-{mid:04x}-{version:04x}-{clock:04x}-{node:012x}", Self::PREFIX)
    }
}

impl ActiveSubscription {
    /// Its address at its hub, for this subscriber.
    pub fn path(&self, subscriber: MercureSubscriberId) -> String {
        SubscriptionsPath::One(self.kind, self.matcher.clone().into(), subscriber).to_string()
    }

    /// The topic of what is told of it.
    ///
    /// # Errors
    ///
    /// Its address is no topic.
    pub fn topic(&self, subscriber: MercureSubscriberId) -> Result<Topic, InvalidTopic> {
        Topic::parse(&self.path(subscriber))
    }

    /// What is told of it.
    pub fn document(&self, subscriber: MercureSubscriberId, active: bool) -> Value {
        let mut document = json!({
            "@context": CONTEXT,
            "id": self.path(subscriber),
            "type": "subscription",
            "match_type": self.kind.name(),
            "match": &*self.matcher,
            "topic": &*self.matcher,
            "subscriber": subscriber.to_string(),
            "active": active,
        });
        if let Some(payload) = &self.payload {
            document["payload"] = Value::Object(Map::clone(payload));
        }
        document
    }

    /// What stands at its address for clients from before 1.0.
    fn older_document(&self, subscriber: MercureSubscriberId) -> Value {
        let mut document = self.document(subscriber, true);
        let path = SubscriptionsPath::OlderOne(self.matcher.clone().into(), subscriber);
        document["id"] = path.to_string().into();
        document["type"] = "Subscription".into();
        document
    }
}

impl SubscriptionsPath {
    /// Where all of them are.
    pub const ROOT: &str = "/.well-known/mercure/subscriptions";

    /// Reads the path of an address; `None` if nothing is there.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(Self::ROOT)?;
        if rest.is_empty() {
            return Some(Self::All);
        }
        let mut segments = rest.strip_prefix('/')?.split('/');
        let decoded = |segment: &str| {
            let text = percent_decode_str(segment).decode_utf8().ok().map(String::from);
            text.filter(|text| !text.is_empty())
        };
        let first = segments.next()?;
        let path = if let Some(kind) = MatcherType::parse(first) {
            let matcher = decoded(segments.next()?)?;
            match segments.next() {
                None => Self::Of(kind, matcher),
                Some(id) => Self::One(kind, matcher, MercureSubscriberId::parse(&decoded(id)?)?),
            }
        } else {
            match segments.next() {
                None => Self::OlderOf(decoded(first)?),
                Some(id) => {
                    Self::OlderOne(decoded(first)?, MercureSubscriberId::parse(&decoded(id)?)?)
                }
            }
        };
        segments.next().is_none().then_some(path)
    }

    /// Whether a subscription of this subscriber is asked for.
    pub fn holds(
        &self,
        subscriber: MercureSubscriberId,
        subscription: &ActiveSubscription,
    ) -> bool {
        let ActiveSubscription { kind, matcher, .. } = subscription;
        let is_matcher = |text: &str| *text == **matcher || *text == *shortened(matcher);
        match self {
            Self::All => true,
            // By name: one from before 1.0 is told of as what it was read as.
            Self::Of(asked, text) => asked.name() == kind.name() && is_matcher(text),
            Self::One(asked, text, by) => {
                *by == subscriber && asked.name() == kind.name() && is_matcher(text)
            }
            Self::OlderOf(text) => is_matcher(text),
            Self::OlderOne(text, by) => *by == subscriber && is_matcher(text),
        }
    }

    /// The same for clients from before 1.0, who do not name a matcher's type.
    #[must_use]
    pub fn older(self) -> Self {
        match self {
            Self::Of(_, matcher) => Self::OlderOf(matcher),
            Self::One(_, matcher, subscriber) => Self::OlderOne(matcher, subscriber),
            older => older,
        }
    }

    /// Whether it is one of before 1.0.
    pub fn is_older(&self) -> bool {
        matches!(self, Self::OlderOf(_) | Self::OlderOne(..))
    }

    /// Whose subscription is asked for, if it is one subscriber's.
    pub fn subscriber(&self) -> Option<MercureSubscriberId> {
        match self {
            Self::One(_, _, id) | Self::OlderOne(_, id) => Some(*id),
            Self::All | Self::Of(..) | Self::OlderOf(_) => None,
        }
    }

    /// What stands there of a subscription that is active.
    pub fn document(
        &self,
        subscriber: MercureSubscriberId,
        subscription: &ActiveSubscription,
    ) -> Value {
        if self.is_older() {
            subscription.older_document(subscriber)
        } else {
            subscription.document(subscriber, true)
        }
    }

    /// The topic that whoever asks must have been granted.
    ///
    /// # Errors
    ///
    /// Its matcher is too long, written as part of an address.
    pub fn topic(&self) -> Result<Topic, InvalidTopic> {
        Topic::parse(&self.to_string())
    }

    /// What a collection says of itself; `last` is the id of the latest event.
    pub fn collection(&self, subscriptions: &[Value], last: &str) -> Value {
        json!({
            "@context": CONTEXT,
            "id": self.to_string(),
            "type": if self.is_older() { "Subscriptions" } else { "subscriptions" },
            "lastEventID": last,
            "subscriptions": subscriptions,
        })
    }
}

impl fmt::Display for SubscriptionsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(Self::ROOT.starts_with(MercureUrl::PATH), "it is the hub's own");
        f.write_str(Self::ROOT)?;
        match self {
            Self::All => Ok(()),
            Self::Of(kind, matcher) => write!(f, "/{}/{}", kind.name(), Matched(matcher)),
            Self::One(kind, matcher, subscriber) => {
                write!(f, "/{}/{}/{}", kind.name(), Matched(matcher), By(*subscriber))
            }
            Self::OlderOf(matcher) => write!(f, "/{}", Matched(matcher)),
            Self::OlderOne(matcher, subscriber) => {
                write!(f, "/{}/{}", Matched(matcher), By(*subscriber))
            }
        }
    }
}

/// A matcher as a segment of an address.
struct Matched<'a>(&'a str);

impl fmt::Display for Matched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", utf8_percent_encode(&shortened(self.0), ESCAPED))
    }
}

/// A subscriber as a segment of an address.
struct By(MercureSubscriberId);

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", utf8_percent_encode(&self.0.to_string(), ESCAPED))
    }
}

/// As much of a matcher as an address holds: all of it, or its beginning and a digest of the whole.
fn shortened(matcher: &str) -> Cow<'_, str> {
    let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).map(str::len).sum::<usize>();
    if escaped(matcher) <= LONGEST {
        return Cow::Borrowed(matcher);
    }
    let (mut end, mut length) = (0, 0);
    for c in matcher.chars() {
        length += escaped(c.encode_utf8(&mut [0; 4]));
        if length > LONGEST - DIGEST {
            break;
        }
        end += c.len_utf8();
    }
    // FNV-1a: two that share it share an address, and nothing more.
    let digest = matcher.bytes().fold(0xcbf2_9ce4_8422_2325, |digest: u64, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Cow::Owned(format!("{}~{digest:016x}", &matcher[..end]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subscription(kind: MatcherType, matcher: &str) -> ActiveSubscription {
        ActiveSubscription { kind, matcher: matcher.into(), payload: None }
    }

    #[test]
    fn a_subscriber_id_is_a_uuid() {
        let id = MercureSubscriberId::of([0xff; 16]);
        assert_eq!(id.to_string(), "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff");
        let none = MercureSubscriberId::of([0; 16]);
        assert_eq!(none.to_string(), "urn:uuid:00000000-0000-4000-8000-000000000000");
        for wrong in
            ["", "urn:uuid:", "urn:uuid:0", "urn:uuid:FFFFFFFF-ffff-4fff-bfff-ffffffffffff"]
        {
            assert_eq!(MercureSubscriberId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_matcher_is_escaped_once() {
        let id = MercureSubscriberId::of([0; 16]);
        let path = subscription(MatcherType::UrlPattern, "https://example.com/:x%2F*é").path(id);
        let expected = "/.well-known/mercure/subscriptions/urlpattern/\
            https%3A%2F%2Fexample.com%2F%3Ax%252F%2A%C3%A9/\
            urn%3Auuid%3A00000000-0000-4000-8000-000000000000";
        assert_eq!(path, expected);
    }

    #[test]
    fn a_long_matcher_has_a_short_address() {
        let id = MercureSubscriberId::of([7; 16]);
        for matcher in
            ["x".repeat(512), "é".repeat(256), format!("{}{}", "x".repeat(141), "é".repeat(99))]
        {
            let one = subscription(MatcherType::UrlPattern, &matcher);
            let topic = one.topic(id).unwrap();
            assert_eq!(topic.as_str(), one.path(id));
            let asked = SubscriptionsPath::parse(topic.as_str()).unwrap();
            assert!(asked.holds(id, &one) && asked.to_string() == topic.as_str());
            let other = subscription(MatcherType::UrlPattern, &format!("{matcher}x"));
            assert!(!asked.holds(id, &other), "another that begins alike");
            let older = asked.older().topic().unwrap();
            assert!(SubscriptionsPath::parse(older.as_str()).unwrap().holds(id, &one));
        }
        let short = "x".repeat(LONGEST);
        assert!(subscription(MatcherType::UrlPattern, &short).path(id).contains(&short));
    }

    #[test]
    fn paths_from_before_1_0_are_found() {
        let id = MercureSubscriberId::of([7; 16]);
        let one = subscription(MatcherType::Exact, "https://example.com/a");
        let escaped = id.to_string().replace(':', "%3A");
        let root = SubscriptionsPath::ROOT;
        let path = format!("{root}/https%3A%2F%2Fexample.com%2Fa/{escaped}");
        let newer = SubscriptionsPath::parse(&one.path(id)).unwrap();
        assert_eq!(newer.older().to_string(), path);
        let asked = SubscriptionsPath::parse(&path).unwrap();
        assert!(asked.is_older() && asked.holds(id, &one) && asked.subscriber() == Some(id));
        let document = asked.document(id, &one);
        assert_eq!((&document["id"], &document["type"]), (&json!(path), &json!("Subscription")));
        let all = SubscriptionsPath::parse(&format!("{root}/https%3A%2F%2Fexample.com%2Fa"));
        let all = all.unwrap();
        assert!(all.holds(id, &one) && !all.holds(id, &subscription(MatcherType::Exact, "b")));
        assert_eq!(all.collection(&[], "earliest")["type"], "Subscriptions");
    }

    #[test]
    fn what_is_nowhere_is_refused() {
        let root = SubscriptionsPath::ROOT;
        for nowhere in [
            "/",
            "/exact",
            "/exact/",
            "/exact//",
            "/regex/a",
            "/Exact/a",
            "/exact/a/",
            "/exact/a/b",
            "/exact/a/urn%3Auuid%3A00000000-0000-4000-8000-000000000000/",
            "/exact/%FF",
            "x",
        ] {
            assert_eq!(SubscriptionsPath::parse(&format!("{root}{nowhere}")), None, "{nowhere}");
        }
        assert_eq!(SubscriptionsPath::parse(root), Some(SubscriptionsPath::All));
    }

    proptest! {
        #[test]
        fn an_address_leads_to_its_subscription(matcher in ".{1,40}", random: [u8; 16]) {
            let id = MercureSubscriberId::of(random);
            prop_assert_eq!(MercureSubscriberId::parse(&id.to_string()), Some(id));
            prop_assert_eq!(MercureSubscriberId::of(id.bits().to_be_bytes()), id);
            let one = subscription(MatcherType::Exact, &matcher);
            let asked = SubscriptionsPath::parse(&one.path(id)).unwrap();
            prop_assert!(asked.holds(id, &one));
            prop_assert!(!asked.holds(id, &subscription(MatcherType::UrlPattern, &matcher)));
            let longer = subscription(MatcherType::Exact, &[matcher.as_str(), "x"].concat());
            prop_assert!(!asked.holds(id, &longer));
            let other = MercureSubscriberId::of(random.map(|byte| !byte));
            prop_assert!(!asked.holds(other, &one));
        }
    }
}
