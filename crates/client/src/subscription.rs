//! A subscription: what is asked for.

use std::time::Duration;

use fanfare_event::{InvalidSelector, Selector};
use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct SubscribeOptions {
    topics: Vec<String>,
    types: Vec<String>,
    /// Of every event, unless there may be several.
    pub(crate) topic: Option<String>,
    pub(crate) after: Option<HeaderValue>,
    /// How long a stream may be silent before it counts as broken. Hubs send a keepalive every 15 s
    /// unless set otherwise.
    pub silence: Duration,
    /// How often at most events are to come, to the millisecond; `None` is whenever there are some. A hub takes
    /// 10 ms to 10 s.
    pub interval: Option<Duration>,
    /// Whether to wait for a hub that cannot be reached when it is first asked.
    pub wait_for_hub: bool,
}

/// Why nothing can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubscribeOptions {
    /// The topics, patterns or event types.
    #[error(transparent)]
    Selector(#[from] InvalidSelector),
    /// An id that no header can carry.
    #[error("{0:?} is not an event id; ids look like 1700000000000000000-42, or write `earliest`")]
    After(String),
}

impl SubscribeOptions {
    /// How long a stream may be silent, unless set otherwise.
    pub const SILENCE: Duration = Duration::from_secs(90);

    /// A subscription of these topics and patterns (none: the default topic), narrowed to these
    /// event types (none: all).
    pub fn new(topics: Vec<String>, types: Vec<String>) -> Result<Self, InvalidSubscribeOptions> {
        let texts = topics.iter().map(String::as_str);
        let selector = Selector::parse(texts, types.iter().map(String::as_str))?;
        let topic = match (selector.topics.topics(), selector.topics.patterns()) {
            ([topic], []) => Some(topic.as_str().to_owned()),
            _ => None,
        };
        let (silence, interval, wait_for_hub) = (Self::SILENCE, None, false);
        Ok(Self { topics, types, topic, after: None, silence, interval, wait_for_hub })
    }

    /// Beginning after the event with this id, or with everything retained: `earliest`.
    pub fn after(mut self, id: &str) -> Result<Self, InvalidSubscribeOptions> {
        let invalid = || InvalidSubscribeOptions::After(id.to_owned());
        if id.is_empty() {
            return Err(invalid());
        }
        self.after = Some(HeaderValue::from_str(id).map_err(|_| invalid())?);
        Ok(self)
    }

    /// Whether events may come from several topics.
    pub fn has_several_topics(&self) -> bool {
        self.topic.is_none()
    }

    /// Whether all events have one type, or none.
    pub fn has_one_type(&self) -> bool {
        self.types.len() == 1
    }

    /// The query to ask with. A sealed envelope tells topics apart, and has the hub begin the stream
    /// with an id: one that breaks before its first event can be resumed too.
    pub(crate) fn query(&self) -> String {
        let pair = |name, text| format!("{name}={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
        let topics = self.topics.iter().map(|topic| pair("topic", topic));
        let types = self.types.iter().map(|kind| pair("event", kind));
        let interval = self.interval.map(|interval| format!("interval={}", interval.as_millis()));
        topics
            .chain(types)
            .chain([pair("envelope", "sealed")])
            .chain(interval)
            .collect::<Vec<_>>()
            .join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(topics: &[&str], types: &[&str]) -> String {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        SubscribeOptions::new(texts(topics), texts(types)).unwrap().query()
    }

    #[test]
    fn a_topic_stays_in_its_parameter_and_is_told_from_others() {
        let escaped = "topic=a%26topic%3Db%20%23&event=x&envelope=sealed";
        assert_eq!(query(&["a&topic=b #"], &["x"]), escaped);
        assert_eq!(query(&[], &[]), "envelope=sealed");
        assert_eq!(query(&["a", "b/*"], &[]), "topic=a&topic=b%2F%2A&envelope=sealed");
    }

    #[test]
    fn an_id_that_no_header_can_carry_is_refused() {
        let subscription = || SubscribeOptions::new(Vec::new(), Vec::new()).unwrap();
        assert!(subscription().after("1-2").is_ok());
        for bad in ["", "a\r\nb: c"] {
            assert!(subscription().after(bad).is_err(), "{bad:?}");
        }
    }
}
