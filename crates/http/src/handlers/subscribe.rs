//! Subscribing: the streams of events and of statistics.

use axum::extract::{Extension, Request, State};
use axum::response::Response;

use crate::admission::{Admission, Feed, admit};
use crate::state::Endpoint;
use crate::stream::{StreamSlot, come_back, head_only};

/// Opens a stream of events.
pub(crate) async fn events(
    State(endpoint): State<Endpoint>,
    Extension(slot): Extension<StreamSlot>,
    request: Request,
) -> Response {
    open(&endpoint, Feed::Events, &slot, request).await
}

/// Opens a stream of the console's statistics.
pub(crate) async fn statistics(
    State(endpoint): State<Endpoint>,
    Extension(slot): Extension<StreamSlot>,
    request: Request,
) -> Response {
    open(&endpoint, Feed::Statistics, &slot, request).await
}

/// Answers with the head of a stream, and leaves the stream itself in the slot.
async fn open(endpoint: &Endpoint, feed: Feed, slot: &StreamSlot, request: Request) -> Response {
    let (request, _) = request.into_parts();
    match admit(&endpoint.app, endpoint.dialect, feed, &request).await {
        Admission::Admitted(stream) => {
            slot.put(*stream);
            head_only()
        }
        Admission::HeadOnly => head_only(),
        Admission::ComeBack(_) => come_back(endpoint.app.delivery.retry()),
        Admission::Refused(refusal) => endpoint.answer(&refusal),
    }
}
