//! Subscribing: `GET /sse/events`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::header::{CONNECTION, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use fanfare_event::Selector;
use fanfare_hub::{Envelope, Hub, Requested, Resolution, Start};
use tokio::time::{Instant, sleep};

use super::client::network_of;
use super::error::Error;
use super::places::Placed;
use super::query;
use super::router::Shared;
use super::stream::{Asked, Granted, Slot, head, head_only};
use crate::metrics::Refused;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a client that is ahead of this node waits for it, and how often it looks.
const CATCH_UP: Duration = Duration::from_secs(2);
const CATCH_UP_LOOK: Duration = Duration::from_millis(20);

/// What a subscriber asks for in its address.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    topics: Vec<String>,
    types: Vec<String>,
    pub(super) envelope: Envelope,
    pub(super) last_event_id: Option<String>,
}

/// Grants a subscription, and answers with the head of its stream.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(slot): Extension<Slot>,
    request: Request,
) -> Response {
    let (request, _) = request.into_parts();
    match grant(&shared, &request).await {
        Ok(Answer::Head) => head_only(),
        Ok(Answer::Stream(granted)) => {
            slot.put(*granted);
            head_only()
        }
        Ok(Answer::ComeBack(reason)) => {
            shared.metrics.refused(reason);
            come_back(&shared)
        }
        Err(error) => Error::answer(error, &shared.metrics),
    }
}

/// For fuzzing: reads what a subscription asks for.
#[cfg(any(test, fuzzing))]
pub(super) fn probe(query: &str) {
    let Ok(Parameters { topics, types, last_event_id, .. }) = Parameters::parse(query) else {
        return;
    };
    let types = types.iter().map(String::as_str);
    let _ = Selector::parse(topics.iter().map(String::as_str), types);
    let _ = Requested::parse(last_event_id.as_deref());
}

enum Answer {
    /// For HEAD.
    Head,
    Stream(Box<Granted>),
    /// Not now: any status but 200 would end an EventSource for good (WHATWG HTML, 9.2.3).
    ComeBack(Refused),
}

async fn grant(shared: &Shared, request: &Parts) -> Result<Answer, Error> {
    let caller = match shared.access.listener(request).await {
        Err(error) if error.is_passing() => return Ok(Answer::ComeBack(error.reason())),
        caller => caller?,
    };
    let Parameters { topics, types, envelope, last_event_id } =
        Parameters::parse(request.uri.query().unwrap_or_default())?;
    let topics = topics.iter().map(String::as_str);
    let selector = Selector::parse(topics, types.iter().map(String::as_str))?;
    let named = selector.topics.topics().len() + selector.topics.patterns().len();
    if named > shared.quotas.max_topics {
        return Err(Error::TooManyTopics { named, limit: shared.quotas.max_topics });
    }
    let patterns = selector.topics.patterns().len();
    let selector = caller.subscribe(selector)?;
    if request.method == Method::HEAD {
        return Ok(Answer::Head);
    }
    if shared.is_draining() {
        return Ok(Answer::ComeBack(Refused::Draining));
    }
    let lease = match shared.quotas.lease(&caller, patterns) {
        Ok(lease) => lease,
        Err(reason) => return Ok(Answer::ComeBack(reason)),
    };
    let Some(seat) = shared.delivery.seat() else {
        return Ok(Answer::ComeBack(Refused::Capacity));
    };
    let cursor = cursor(&request.headers, last_event_id.as_deref());
    let requested = Requested::parse(cursor.as_deref());
    let has_id = matches!(requested, Requested::After(_));
    // Whoever has to wait for this node holds a seat, and keeps no other request out.
    Placed::leave(request);
    let Some(start) = resolve(&shared.hub, &requested).await else {
        return Ok(Answer::ComeBack(Refused::LogUnavailable));
    };
    if shared.is_draining() {
        return Ok(Answer::ComeBack(Refused::Draining));
    }
    let delivery = &shared.delivery;
    let asked = Asked { selector, envelope, start, has_id };
    let granted = Granted::new(delivery, asked, network_of(caller.address), seat, lease);
    Ok(Answer::Stream(Box::new(granted)))
}

/// The cursor that a client sends. An EventSource repeats its first address when it reconnects, so
/// the header is the newer. Its bytes are UTF-8 (WHATWG HTML, 9.2.4); what is not cannot be an id
/// of ours.
pub(super) fn cursor<'a>(
    headers: &'a HeaderMap,
    from_query: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    let from_header = headers.get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()));
    from_header.filter(|id| !id.is_empty()).or(from_query.map(Cow::Borrowed))
}

/// Where the subscriber begins; waits a moment for a node that is behind its client. `None` where the
/// node cannot hear its engine: what another node has given out is then not lost, and whoever comes
/// back finds it there, or here later.
pub(super) async fn resolve(hub: &Hub, requested: &Requested) -> Option<Start> {
    let deadline = Instant::now() + CATCH_UP;
    loop {
        match hub.resolve(requested) {
            Resolution::Ready(start) => return Some(start),
            Resolution::Ahead(start) if Instant::now() >= deadline => {
                return hub.is_in_step().then_some(start);
            }
            Resolution::Ahead(_) => sleep(CATCH_UP_LOOK).await,
        }
    }
}

/// A stream that only says when to come back.
pub(super) fn come_back(shared: &Shared) -> Response {
    let retry = fanfare_sse::opening(shared.delivery.retry().pick());
    let mut response = head(retry.bare_bytes());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

impl Parameters {
    /// Unknown parameters are ignored, as FastAPI does.
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let mut parameters = Self::default();
        for pair in query::pairs(query) {
            let (name, value) = pair?;
            match &*name {
                "topic" => parameters.topics.push(value),
                "event" => parameters.types.push(value),
                "envelope" => {
                    parameters.envelope = match &*value {
                        "none" => Envelope::None,
                        "json" => Envelope::Json,
                        "sealed" => Envelope::Sealed,
                        _ => return Err(Error::Envelope(value)),
                    }
                }
                "last_event_id" | "lastEventId" if !value.is_empty() => {
                    parameters.last_event_id = Some(value);
                }
                _ => {}
            }
        }
        Ok(parameters)
    }
}
