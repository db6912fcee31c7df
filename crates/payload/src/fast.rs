//! The fast path: one pass of serde_json over a body that is as it should be.
//!
//! It may refuse anything, for then Python's rules are asked. What it accepts it must read as they
//! do; hence a field given twice is refused, and so is an array in place of an object, and what is
//! skipped is parsed in full, under serde_json's limit of 128 levels; only how many values are skipped is not
//! counted, for they take no memory. `json`, names that look like a field's, and lists and objects that are longer
//! than [`MAX_ITEMS`] are left to the closer look.

use std::borrow::Cow;
use std::fmt;

use fanfare_event::{Draft, EventId, EventType, Extras, Topic};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::fields::FIELDS;
use crate::near_miss::near_miss;

/// The draft a text holds, or `None` when it takes a closer look.
pub(crate) fn read(text: &str) -> Option<Draft> {
    let fields: FastFields<'_> = serde_json::from_str(text).ok()?;
    let (topic, others) = match (fields.topic, fields.topics) {
        (Some(_), Some(_)) => return None,
        (Some(topic), None) => (Topic::given(&topic.0).ok()?, Vec::new()),
        (None, Some(topics)) => {
            let mut topics = topics.0.iter().map(|topic| Topic::given(&topic.0).ok());
            (topics.next()??, topics.collect::<Option<Vec<_>>>()?)
        }
        (None, None) => (Topic::default(), Vec::new()),
    };
    let id = match fields.id {
        Some(id) => Some(EventId::parse(&id.0).ok()?),
        None => None,
    };
    let extras = Extras::new(&topic, others, fields.private.unwrap_or(false), id).ok()?;
    let event_type = match fields.event {
        Some(event) => Some(EventType::given(&event.0).ok()?),
        None => None,
    };
    Some(Draft { topic, event_type, message: fields.message.0.into(), extras })
}

/// The most topics, and the most names that are passed over.
const MAX_ITEMS: usize = 1_000;

struct FastFields<'a> {
    message: FastText<'a>,
    topic: Option<FastText<'a>>,
    topics: Option<FastTopics<'a>>,
    event: Option<FastText<'a>>,
    private: Option<bool>,
    id: Option<FastText<'a>>,
}

/// Borrowed unless it has escapes.
#[derive(Deserialize)]
struct FastText<'a>(#[serde(borrow)] Cow<'a, str>);

struct FastTopics<'a>(Vec<FastText<'a>>);

impl<'de> Deserialize<'de> for FastTopics<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TopicsVisitor)
    }
}

struct TopicsVisitor;

impl<'de> Visitor<'de> for TopicsVisitor {
    type Value = FastTopics<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of topics")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut topics = Vec::new();
        while let Some(topic) = list.next_element()? {
            if topics.len() == MAX_ITEMS {
                return Err(A::Error::custom("too many topics"));
            }
            topics.push(topic);
        }
        Ok(FastTopics(topics))
    }
}

enum FastKey {
    Message,
    Topic,
    Topics,
    Event,
    Private,
    Id,
    Other,
}

impl<'de> Deserialize<'de> for FastKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = FastKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<FastKey, E> {
        match name {
            "message" => Ok(FastKey::Message),
            "topic" => Ok(FastKey::Topic),
            "topics" => Ok(FastKey::Topics),
            "event" => Ok(FastKey::Event),
            "private" => Ok(FastKey::Private),
            "id" => Ok(FastKey::Id),
            _ if FIELDS.contains(&name) => Err(E::custom("a field that takes a closer look")),
            _ if near_miss(name, &FIELDS).is_some() => Err(E::custom("a name that is nearly one")),
            _ => Ok(FastKey::Other),
        }
    }
}

impl<'de> Deserialize<'de> for FastFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = FastFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut message, mut topic, mut event) = (None, None, None);
        let (mut topics, mut private, mut id) = (None, None, None);
        let mut others = 0;
        while let Some(key) = map.next_key()? {
            match key {
                FastKey::Message if message.is_none() => message = Some(map.next_value()?),
                FastKey::Topic if topic.is_none() => topic = Some(map.next_value()?),
                FastKey::Topics if topics.is_none() => topics = Some(map.next_value()?),
                FastKey::Event if event.is_none() => event = Some(map.next_value()?),
                FastKey::Private if private.is_none() => private = Some(map.next_value()?),
                FastKey::Id if id.is_none() => id = Some(map.next_value()?),
                FastKey::Other if others < MAX_ITEMS => {
                    others += 1;
                    map.next_value::<Skipped>()?;
                }
                _ => {
                    return Err(A::Error::custom(
                        "a field is given twice, or too many are not known",
                    ));
                }
            }
        }
        let message = message.ok_or_else(|| A::Error::missing_field("message"))?;
        Ok(FastFields {
            message,
            topic: topic.flatten(),
            topics: topics.flatten(),
            event: event.flatten(),
            private: private.flatten(),
            id: id.flatten(),
        })
    }
}

/// A value nobody asked for. `IgnoredAny` would not do: serde_json lets it nest without a limit.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
