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
use crate::reserved::{ReservedField, ReservedName};

/// Names the event's type, as the field `event` does in JSON.
const EVENT: HeaderName = HeaderName::from_static("x-event");

/// Where such a publish has its topic and its type, as a refusal names the places.
const TOPIC_PLACE: [&str; 2] = ["path", "topic"];
const EVENT_PLACE: [&str; 2] = ["header", "x-event"];

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
    let topic = named.map_err(|error| Refusal::of_publish(TOPIC_PLACE, topic, error))?;
    let event_type = event_type(headers)?;
    let message = std::str::from_utf8(body).map_err(|_| InvalidBody::Unreadable { line: None });
    let message = message.map_err(Refusal::Body)?.into();
    let draft = Draft { topic, event_type, message, extras: None };
    Ok(PublishRequest { drafts: vec![draft], kind: SubmissionKind::Single, key })
}

/// Why a message that was read so is refused, with the place where such a publish has what is wrong.
pub(crate) fn refused_text(refusal: Refusal) -> Refusal {
    let Refusal::Reserved(ReservedName { field, name, why }) = refusal else { return refusal };
    let place = match field {
        ReservedField::Topic | ReservedField::Topics => TOPIC_PLACE,
        ReservedField::EventType => EVENT_PLACE,
    };
    Refusal::of_publish(place, &name, why)
}

fn event_type(headers: &HeaderMap) -> Result<Option<EventType>, Refusal> {
    let mut lines = headers.get_all(EVENT).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let value = String::from_utf8_lossy(line.as_bytes());
    let wrong = |said: &'static str| Refusal::of_publish(EVENT_PLACE, &value, said);
    if lines.next().is_some() {
        return Err(wrong("an event has one type: send one X-Event header"));
    }
    if std::str::from_utf8(line.as_bytes()).is_err() {
        return Err(wrong("an event type is UTF-8"));
    }
    let given = EventType::given(&value).map(Some);
    given.map_err(|error| Refusal::of_publish(EVENT_PLACE, &value, error))
}
