//! The body of a request, read whole.

use axum::body::{Body, Bytes};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::refusal::Refusal;

/// The whole body, of which never more than `limit` bytes are held. Pieces are put together as they
/// come: kept apart, those of one byte each would take up forty times what they hold.
pub(super) async fn read_whole(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Refusal::of_body)?;
        let Ok(piece) = frame.into_data() else { continue };
        if first.len() + whole.len() + piece.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if first.is_empty() && whole.is_empty() {
            // Most come in one piece.
            first = piece;
            continue;
        }
        if !first.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}
