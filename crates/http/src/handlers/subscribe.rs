//! Subscribing: the streams of events and of statistics.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::read_whole;
use crate::admission::{Admission, Feed, PendingForm, admit};
use crate::dialect::QueryForm;
use crate::endpoint::Endpoint;
use crate::form::{FORM, is_form};
use crate::refusal::{Refusal, UnreadableRequest};
use crate::stream::{AdmittedStream, StreamSlot, head_only, retry_later};

/// The longest form of a QUERY, in bytes: as many matchers as a subscription may have fit.
const MAX_FORM: usize = 256 * 1024;

/// Opens a stream of events.
pub(crate) async fn events(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    events_at(&endpoint, request).await
}

/// The same, for who comes past the router.
pub(crate) async fn events_at(endpoint: &Endpoint, request: Parts) -> Response {
    open(endpoint, Feed::Events, request, None).await
}

/// Opens a stream of events that is asked for in a form.
pub(crate) async fn query(State(endpoint): State<Endpoint>, request: Request) -> Response {
    if *request.method() != query_method() {
        return endpoint.dialect.method_not_allowed();
    }
    let (request, body) = request.into_parts();
    let form = Box::pin(form(is_form(&request.headers) == Some(true), body));
    open(&endpoint, Feed::Events, request, Some(form)).await
}

/// The method that is GET with a body (RFC 10008).
pub(crate) fn query_method() -> Method {
    Method::from_bytes(b"QUERY").unwrap_or_default()
}

async fn form(is_form: bool, body: Body) -> Result<QueryForm, Refusal> {
    let bytes = read_whole(body, MAX_FORM).await?;
    if !bytes.is_empty() && !is_form {
        let source = format!("send the matchers as {FORM}").into();
        return Err(Refusal::Unreadable { what: UnreadableRequest::ContentType, source });
    }
    let text = String::from_utf8(bytes.to_vec());
    Ok(QueryForm(text.map_err(Refusal::unreadable(UnreadableRequest::Subscription))?))
}

/// Opens a stream of the console's statistics.
pub(crate) async fn statistics(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    open(&endpoint, Feed::Statistics, request, None).await
}

/// Answers with the head of a stream, and leaves the stream itself in the slot.
async fn open(
    endpoint: &Endpoint,
    feed: Feed,
    mut request: Parts,
    form: Option<PendingForm<'_>>,
) -> Response {
    match admit(&endpoint.app, endpoint.dialect, feed, &mut request, form).await {
        Admission::Admitted(mut stream) => {
            let mut head = head_only();
            let told =
                write_start_headers(endpoint, &request, &mut stream, head.headers_mut()).await;
            if let Err(refusal) = told {
                endpoint.app.metrics.refused(refusal.reason());
                return retry_later(endpoint.app.delivery.retry());
            }
            match request.extensions.get::<StreamSlot>() {
                Some(slot) => slot.put(*stream),
                None => return endpoint.refuse(&Refusal::NoPeer),
            }
            head
        }
        Admission::HeadOnly => head_only(),
        Admission::ComeBack(_) => retry_later(endpoint.app.delivery.retry()),
        Admission::Refused(refusal) => endpoint.answer(&refusal),
    }
}

/// How many ask the engine at once where their streams begin.
static ASKING: Semaphore = Semaphore::const_new(4);
/// For how long a stream waits for others that ask. Anyone may send many who do: nobody's stream shall begin late
/// for them.
const ASKING_WAIT: Duration = Duration::from_millis(250);

/// Says in the head where the stream begins, if its dialect does.
async fn write_start_headers(
    endpoint: &Endpoint,
    request: &Parts,
    stream: &mut AdmittedStream,
    head: &mut HeaderMap,
) -> Result<(), Refusal> {
    let Endpoint { app, dialect } = endpoint;
    if !dialect.reports_start(request) {
        return Ok(());
    }
    let (hub, start, interest) = (Arc::clone(&app.hub), stream.start(), stream.interest());
    // It may have to ask the engine, and what that reads takes memory.
    let ask = async {
        let _turn = timeout(ASKING_WAIT, ASKING.acquire()).await.ok()?;
        tokio::task::spawn_blocking(move || hub.is_continuous(&start, &interest)).await.ok()
    };
    let asked = stream.outside(ask).await?;
    // In doubt, no: whoever is told of a loss that was none reads again what it has.
    let continuous = matches!(asked, Some(Ok(true)));
    if !continuous {
        stream.tell_gap();
    }
    dialect.write_start_headers(request, continuous, head);
    Ok(())
}
