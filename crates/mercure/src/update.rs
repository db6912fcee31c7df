//! An update: what a publisher sends as a form.

use fanfare_event::{EventId, EventType, Extras, InvalidEventId, InvalidEventType, Topic};

use crate::characters::are_allowed;
use crate::form::{self, InvalidForm};
use crate::hub_url::MercureUrl;
use crate::topic::{InvalidTopicName, topic_of};

/// What a publisher sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its topics; the first is the canonical one.
    pub topics: Vec<Topic>,
    /// Its content; empty if none was sent.
    pub data: Box<str>,
    /// Whether only those may receive it who are granted one of its topics.
    pub private: bool,
    /// The id that its publisher has chosen.
    pub id: Option<EventId>,
    /// Its type.
    pub event_type: Option<EventType>,
    /// After how many milliseconds whoever receives it is to reconnect, once its connection is lost.
    pub retry: Option<u64>,
}

/// Why a form is not an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUpdate {
    /// It is not a form.
    #[error(transparent)]
    Form(#[from] InvalidForm),
    /// It names no topic.
    #[error("a topic is missing")]
    NoTopic,
    /// It names too many.
    #[error("an update has at most {} topics", Update::MAX_TOPICS)]
    TooManyTopics,
    /// A topic is none.
    #[error(transparent)]
    Topic(#[from] InvalidTopicName),
    /// A topic is `*`.
    #[error("the topic `*` is reserved: as a matcher it stands for all topics")]
    Wildcard,
    /// A topic is the hub's own.
    #[error("topics under {} are the hub's own", MercureUrl::PATH)]
    Reserved,
    /// The id holds what does not show.
    #[error("an id must not contain control or format characters")]
    ForbiddenId,
    /// The id is none.
    #[error(transparent)]
    Id(#[from] InvalidEventId),
    /// The type is none.
    #[error(transparent)]
    Type(#[from] InvalidEventType),
    /// The type holds what does not show.
    #[error("a type must not contain control or format characters")]
    ForbiddenType,
    /// The type is the hub's own.
    #[error("the type `mercure` is the hub's own")]
    ReservedType,
    /// The time to reconnect is no number.
    #[error("`retry` is a number of milliseconds, in digits")]
    Retry,
    /// The content is longer than a message may be.
    #[error("`data` is at most {0} bytes long")]
    LongData(usize),
}

impl InvalidUpdate {
    /// Whether it is only that something is longer, or more, than the hub takes.
    pub fn is_too_large(self) -> bool {
        matches!(
            self,
            Self::TooManyTopics
                | Self::Topic(InvalidTopicName::TooLong)
                | Self::Id(InvalidEventId::TooLong(_))
                | Self::Type(InvalidEventType::TooLong(_))
                | Self::LongData(_)
        )
    }
}

impl Update {
    /// The most topics of one update.
    pub const MAX_TOPICS: usize = Extras::MAX_TOPICS;
    /// The most digits of a time to reconnect.
    const MAX_DIGITS: usize = 15;
    /// The type of the hub's own events.
    pub const RESERVED_TYPE: &str = "mercure";

    /// Reads a form, of which the content may have `max_data` bytes, sent to a hub with this URL. What is not
    /// known is ignored; of what is sent twice, the first counts.
    ///
    /// # Errors
    ///
    /// See [`InvalidUpdate`].
    pub fn parse(form: &str, max_data: usize, hub: &MercureUrl) -> Result<Self, InvalidUpdate> {
        let mut topics = Vec::new();
        let mut private = false;
        let (mut data, mut id, mut event_type, mut retry) = (None, None, None, None);
        for pair in form::pairs(form) {
            let (name, value) = pair?;
            match &*name {
                "topic" if topics.len() == Self::MAX_TOPICS => {
                    return Err(InvalidUpdate::TooManyTopics);
                }
                "topic" => {
                    let topic = topic(&value, hub)?;
                    if !topics.contains(&topic) {
                        topics.push(topic);
                    }
                }
                "private" => private = true,
                "data" => {
                    data.get_or_insert(value);
                }
                "id" => {
                    id.get_or_insert(value);
                }
                "type" => {
                    event_type.get_or_insert(value);
                }
                "retry" => {
                    retry.get_or_insert(value);
                }
                _ => {}
            }
        }
        if topics.is_empty() {
            return Err(InvalidUpdate::NoTopic);
        }
        let data = data.unwrap_or_default();
        if data.len() > max_data {
            return Err(InvalidUpdate::LongData(max_data));
        }
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        Ok(Self {
            topics,
            data: data.into(),
            private,
            id: given(id).map(|id| parse_id(&id)).transpose()?,
            event_type: given(event_type).map(|text| parse_type(&text)).transpose()?,
            retry: given(retry).map(|text| parse_retry(&text)).transpose()?,
        })
    }
}

fn topic(name: &str, hub: &MercureUrl) -> Result<Topic, InvalidUpdate> {
    if name == "*" {
        return Err(InvalidUpdate::Wildcard);
    }
    let topic = topic_of(name)?;
    if hub.owns(name) { Err(InvalidUpdate::Reserved) } else { Ok(topic) }
}

fn parse_id(id: &str) -> Result<EventId, InvalidUpdate> {
    if !are_allowed(id) {
        return Err(InvalidUpdate::ForbiddenId);
    }
    Ok(EventId::parse(id)?)
}

fn parse_type(text: &str) -> Result<EventType, InvalidUpdate> {
    if !are_allowed(text) {
        return Err(InvalidUpdate::ForbiddenType);
    }
    if text == Update::RESERVED_TYPE {
        return Err(InvalidUpdate::ReservedType);
    }
    Ok(EventType::parse(text)?)
}

fn parse_retry(text: &str) -> Result<u64, InvalidUpdate> {
    let digits = text.len() <= Update::MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(InvalidUpdate::Retry);
    }
    text.parse().map_err(|_| InvalidUpdate::Retry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matcher::tests::hub;

    fn parse(form: &str) -> Result<Update, InvalidUpdate> {
        Update::parse(form, 100, &hub())
    }

    #[test]
    fn every_field_of_a_form_is_read() {
        let update = parse(
            "topic=a&topic=b%2Fc&topic=a&data=x+y%0Az&private=&id=urn:1&type=t&retry=0150&x=y&data=z",
        );
        let update = update.unwrap();
        assert_eq!(update.topics, ["a", "b/c"].map(|name| topic_of(name).unwrap()));
        assert_eq!(&*update.data, "x y\nz");
        assert!(update.private);
        assert_eq!(update.id.unwrap().as_str(), "urn:1");
        assert_eq!(update.event_type.unwrap().as_str(), "t");
        assert_eq!(update.retry, Some(150));
        let bare = parse("topic=a").unwrap();
        assert_eq!((&*bare.data, bare.private, &bare.id, bare.retry), ("", false, &None, None));
        assert!(parse("topic=a&private").unwrap().private);
        assert!(parse("topic=a&private=off").unwrap().private, "its presence is what counts");
        assert!(!parse("topic=a&Private=on").unwrap().private);
        assert_eq!(parse("topic=a&id=&type=&retry=").unwrap(), bare);
    }

    #[test]
    fn what_the_protocol_refuses_is_refused() {
        use InvalidUpdate as E;
        for (form, why) in [
            ("", E::NoTopic),
            ("data=x", E::NoTopic),
            ("topic=", E::Topic(InvalidTopicName::Empty)),
            ("topic=*", E::Wildcard),
            ("topic=a&topic=*", E::Wildcard),
            ("topic=a%0Ab", E::Topic(InvalidTopicName::Forbidden)),
            ("topic=a&topic=%C2%85", E::Topic(InvalidTopicName::Forbidden)),
            ("topic=/.well-known/%256Dercure/x", E::Reserved),
            ("topic=a&topic=https://x/.well-known/mercure", E::Reserved),
            ("topic=%FF", E::Form(InvalidForm::NotUtf8)),
            ("topic=a&data=%FF", E::Form(InvalidForm::NotUtf8)),
            ("topic=a&id=%23x", E::Id(InvalidEventId::Reserved)),
            ("topic=a&id=earliest", E::Id(InvalidEventId::Reserved)),
            ("topic=a&id=17-4", E::Id(InvalidEventId::Reserved)),
            ("topic=a&id=a%00", E::ForbiddenId),
            ("topic=a&id=a%0D", E::ForbiddenId),
            ("topic=a&id=%E2%80%8B", E::ForbiddenId),
            ("topic=a&type=mercure", E::ReservedType),
            ("topic=a&type=a%0Ab", E::ForbiddenType),
            ("topic=a&type=fanfare.gap", E::Type(InvalidEventType::Reserved)),
            ("topic=a&retry=1x", E::Retry),
            ("topic=a&retry=-1", E::Retry),
            ("topic=a&retry=+1", E::Retry),
            ("topic=a&retry=%D9%A1", E::Retry),
        ] {
            assert_eq!(parse(form), Err(why), "{form}");
            assert!(!why.is_too_large());
        }
        let many: String = (0..65).map(|n| format!("topic={n}&")).collect();
        for form in [
            &many,
            &format!("topic={}", "x".repeat(300)),
            &format!("topic=a&id={}", "x".repeat(300)),
            &format!("topic=a&type={}", "x".repeat(300)),
            &format!("topic=a&data={}", "x".repeat(101)),
        ] {
            assert!(parse(form).unwrap_err().is_too_large(), "{form}");
        }
    }

    proptest! {
        #[test]
        fn no_accepted_update_forges_a_field(
            form in "((topic|id|type|data|retry|private)=([a-z#*/.]|%[0-9A-F]{2}){0,9}&){0,6}"
        ) {
            if let Ok(update) = parse(&form) {
                let texts = update.topics.iter().map(|topic| topic.as_str());
                let texts = texts.chain(update.id.as_ref().map(EventId::as_str));
                let texts = texts.chain(update.event_type.as_ref().map(EventType::as_str));
                for text in texts {
                    prop_assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
                }
                prop_assert!(update.event_type.is_none_or(|t| t.as_str() != "mercure"));
            }
        }
    }
}
