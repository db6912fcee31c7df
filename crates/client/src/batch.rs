//! A batch: messages that are published together or not at all.

use bytes::Bytes;
use fanfare_event::{EventType, Topic};
use http::HeaderValue;
use serde::Serialize;

use crate::RetryKey;

/// One message to be published.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Where.
    pub topic: &'a Topic,
    /// Its type, if it has one.
    pub event: Option<&'a EventType>,
    /// What.
    pub text: &'a str,
}

/// One or more messages as one request, with the key that makes its repetition safe. Cloning
/// shares the bytes.
#[derive(Debug, Clone)]
pub struct PublishBatch {
    pub(crate) body: Bytes,
    pub(crate) content_type: HeaderValue,
    pub(crate) messages: usize,
    pub(crate) key: RetryKey,
}

#[derive(Serialize)]
struct MessageJson<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    message: &'a str,
}

impl PublishBatch {
    /// One message.
    pub fn single(message: Message<'_>, key: RetryKey) -> Self {
        Self {
            body: message.to_json().into(),
            content_type: HeaderValue::from_static("application/json"),
            messages: 1,
            key,
        }
    }

    /// Any number of messages but none, in order.
    pub fn of<'a>(messages: impl IntoIterator<Item = Message<'a>>, key: RetryKey) -> Self {
        let (mut body, mut count) = (Vec::new(), 0);
        for message in messages {
            body.extend_from_slice(message.to_json().as_bytes());
            body.push(b'\n');
            count += 1;
        }
        Self {
            body: body.into(),
            content_type: HeaderValue::from_static("application/x-ndjson"),
            messages: count,
            key,
        }
    }
}

impl Message<'_> {
    pub(crate) fn to_json(self) -> String {
        let wire = MessageJson {
            topic: self.topic.as_str(),
            event: self.event.map(EventType::as_str),
            message: self.text,
        };
        // Three strings always have a form in JSON.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}
