//! A publish by hand: `POST <prefix>/topics/<topic>`, whose body is the message as it is, whatever its
//! content type says; curl says that it is a form.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName};
use fanfare_event::{Draft, EventType, Topic};
use fanfare_payload::{FIELDS, PayloadRefusal as InvalidBody, SubmissionKind};

use crate::dialect::contract::PublishRequest;
use crate::dialect::idempotency_key::KeyName;
use crate::query;
use crate::refusal::Refusal;

/// Names the event's type, as the field `event` does in JSON.
const EVENT: HeaderName = HeaderName::from_static("x-event");

/// Refuses fields in the query.
pub(crate) fn check_text_query(query: &str) -> Result<(), Refusal> {
    query::refuse_fields(query, &FIELDS, |field| match field {
        "message" => "body",
        "topic" => "path",
        "event" => "header X-Event",
        // This way of publishing has no place for them.
        _ => "body of a publish in JSON, to /send",
    })
}

/// Reads a message to the topic that the path names, decoded.
pub(crate) fn text(
    topic: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<PublishRequest, Refusal> {
    let key = KeyName::find(headers)?;
    let named = Topic::given(topic);
    let topic = named.map_err(|error| Refusal::of_publish(["path", "topic"], topic, &error))?;
    let event_type = event_type(headers)?;
    let message = std::str::from_utf8(body).map_err(|_| InvalidBody::Unreadable { line: None });
    let message = message.map_err(Refusal::Body)?.into();
    let draft = Draft { topic, event_type, message, extras: None };
    Ok(PublishRequest { drafts: vec![draft], kind: SubmissionKind::Single, key })
}

fn event_type(headers: &HeaderMap) -> Result<Option<EventType>, Refusal> {
    let mut lines = headers.get_all(EVENT).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let value = String::from_utf8_lossy(line.as_bytes());
    let wrong = |said: &dyn ToString| Refusal::of_publish(["header", "x-event"], &value, said);
    if lines.next().is_some() {
        return Err(wrong(&"an event has one type: send one X-Event header"));
    }
    if std::str::from_utf8(line.as_bytes()).is_err() {
        return Err(wrong(&"an event type is UTF-8"));
    }
    EventType::given(&value).map(Some).map_err(|error| wrong(&error))
}
