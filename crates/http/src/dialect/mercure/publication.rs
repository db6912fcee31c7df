//! A publish in Mercure's protocol: a form, answered by the id alone.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use fanfare_event::{Draft, EventId, Extras};
use fanfare_log::Appended;
use fanfare_mercure::{MercureUrl, Update};
use fanfare_payload::SubmissionKind;

use super::stream_format::reference;
use crate::dialect::contract::PublishRequest;
use crate::dialect::idempotency_key::KeyName;
use crate::form::{FORM, is_form};
use crate::refusal::{Refusal, UnreadableRequest};

/// What a message may grow by when each of its bytes is escaped, and what the other fields take.
const ESCAPING: usize = 3;
const OTHER_FIELDS: usize = 128 * 1024;

pub(super) fn body_limit(message: usize) -> usize {
    message * ESCAPING + OTHER_FIELDS
}

pub(super) fn read(
    headers: &HeaderMap,
    body: &Bytes,
    message_bytes: usize,
    hub: &MercureUrl,
) -> Result<PublishRequest, Refusal> {
    // What is said to be nothing may be one.
    if is_form(headers) == Some(false) {
        let source = format!("send the update as {FORM}").into();
        return Err(Refusal::Unreadable { what: UnreadableRequest::ContentType, source });
    }
    let key = KeyName::find(headers)?;
    let form = std::str::from_utf8(body);
    let form = form.map_err(Refusal::unreadable(UnreadableRequest::Publish))?;
    let update = Update::parse(form, message_bytes, hub).map_err(|invalid| {
        let long = invalid.is_too_large();
        let what = if long { UnreadableRequest::LongPublish } else { UnreadableRequest::Publish };
        Refusal::unreadable(what)(invalid)
    })?;
    let Update { topics, data, event_type, private, id, retry } = update;
    let mut topics = topics.into_iter();
    // There is one at least.
    let topic = topics.next().unwrap_or_default();
    let extras = Extras::new(&topic, topics, private, id);
    let extras = extras.map_err(Refusal::unreadable(UnreadableRequest::LongPublish))?;
    let extras = Extras::with_retry(extras, retry);
    let draft = Draft { topic, event_type, message: data, extras };
    Ok(PublishRequest { drafts: vec![draft], kind: SubmissionKind::Single, key })
}

pub(super) fn accepted(appended: &Appended, id: Option<&EventId>) -> Response {
    let id = id.map_or_else(|| reference(appended.first), |id| id.as_str().to_owned());
    // As text it has the media type and the charset that the protocol wants.
    id.into_response()
}
