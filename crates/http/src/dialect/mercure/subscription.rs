//! A subscription in Mercure's protocol: matchers in the address, in a form, or in both.

use axum::http::header::HeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use fanfare_event::{EventId, Selector};
use fanfare_hub::Requested;
use fanfare_mercure::{ActiveSubscription, Matcher, MercureSubscription as Asked, Payloads};

use super::config::MercureConfig;
use super::presence::Presence;
use super::stream_format::format;
use crate::dialect::contract::{NoteAdmission, QueryForm, SubscribeRequest};
use crate::processor_time::aside;
use crate::refusal::{Refusal, UnreadableRequest};

/// Where a stream begins.
pub(super) const BEGINNING: HeaderName = HeaderName::from_static("mercure-last-event-id");
/// The same before 1.0.
const OLDER_BEGINNING: HeaderName = HeaderName::from_static("last-event-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// A stream that nothing comes before.
const EARLIEST: &str = "earliest";

pub(super) fn read(request: &Parts, config: &MercureConfig) -> Result<SubscribeRequest, Refusal> {
    let form = request.extensions.get::<QueryForm>().map(|form| &*form.0);
    let query = request.uri.query().unwrap_or_default();
    let has_patterns = [query, form.unwrap_or_default()].into_iter().any(may_have_patterns);
    let asked = aside(has_patterns, || Asked::parse(query, form, &config.hub));
    let asked = asked.map_err(Refusal::unreadable(UnreadableRequest::Subscription))?;
    let selector: Selector =
        asked.selector().map_err(Refusal::unreadable(UnreadableRequest::Subscription))?;
    let cursor = cursor(request, asked.last_event_id.as_deref());
    let note = config.presence.clone().map(|presence| note(presence, asked.matchers));
    Ok(SubscribeRequest {
        selector,
        format: format(config.gap_events),
        cadence: None,
        cursor,
        note,
    })
}

/// Whether a form may have patterns, which are compiled: for milliseconds, if they are made for it.
fn may_have_patterns(form: &str) -> bool {
    form.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "match" | "match_exact" | "last_event_id" | "lastEventID" | "authorization" => false,
            // A template has variables in braces.
            "topic" => ["{", "%7B", "%7b"].iter().any(|brace| value.contains(brace)),
            _ => true,
        }
    })
}

/// Has it told what is subscribed to.
fn note(presence: Presence, matchers: Vec<Matcher>) -> NoteAdmission {
    Box::new(move |caller, quotas| {
        let payloads = caller.note::<Payloads>();
        let subscriptions = active(&matchers, payloads.as_deref());
        let told = quotas.may_be_told(caller, subscriptions.len());
        presence.enter(subscriptions, told)
    })
}

/// What is told of it: each of its matchers once.
fn active(matchers: &[Matcher], payloads: Option<&Payloads>) -> Arc<[ActiveSubscription]> {
    let mut seen = HashSet::new();
    let distinct = matchers.iter().filter(|it| seen.insert((it.kind().name(), it.as_str())));
    let told = distinct.map(|matcher| ActiveSubscription {
        kind: matcher.kind(),
        matcher: matcher.as_str().into(),
        payload: payloads.and_then(|payloads| payloads.of(matcher.as_str())),
    });
    told.collect()
}

/// The cursor: of the header, and without one of the parameter.
fn cursor(request: &Parts, parameter: Option<&str>) -> Requested {
    match header(request).or(parameter.map(Cow::Borrowed)).as_deref() {
        None | Some("") => Requested::Live,
        Some(EARLIEST) => Requested::Earliest,
        // What the hub names itself begins with a mark, which positions do not have.
        Some(id) => {
            if let Ok(position) = id.strip_prefix(EventId::MARK).unwrap_or(id).parse() {
                return Requested::After(position);
            }
            let chosen = EventId::parse(id);
            chosen.map_or_else(|_| Requested::Unknown(id.to_owned()), Requested::AfterId)
        }
    }
}

fn header(request: &Parts) -> Option<Cow<'_, str>> {
    let header = request.headers.get(LAST_EVENT_ID);
    let text = header.map(|id| String::from_utf8_lossy(id.as_bytes()));
    text.filter(|id| !id.is_empty())
}

/// The id behind which a stream is asked for, if it is.
pub(super) fn asked(request: &Parts) -> Option<Cow<'_, str>> {
    if let Some(id) = header(request) {
        return Some(id);
    }
    let form = request.extensions.get::<QueryForm>().map(|form| &*form.0).unwrap_or_default();
    let query = request.uri.query().unwrap_or_default();
    let id = [query, form].into_iter().find_map(fanfare_mercure::last_event_id);
    id.filter(|id| !id.is_empty()).map(Cow::Owned)
}

pub(super) fn write_start_headers(request: &Parts, continuous: bool, head: &mut HeaderMap) {
    let Some(id) = asked(request).filter(|_| continuous) else {
        let earliest = HeaderValue::from_static(EARLIEST);
        head.insert(BEGINNING, earliest.clone());
        head.insert(OLDER_BEGINNING, earliest);
        return;
    };
    let id = HeaderValue::from_bytes(id.as_bytes());
    let id = id.unwrap_or_else(|_| HeaderValue::from_static(EARLIEST));
    head.insert(BEGINNING, id.clone());
    head.insert(OLDER_BEGINNING, id);
}
