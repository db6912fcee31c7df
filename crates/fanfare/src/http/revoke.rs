//! Revocation: `DELETE <prefix>/subscribers?subject=…` ends the streams of a subject.

use axum::http::request::Parts;
use tokio::sync::mpsc;

use super::error::Error;
use super::router::Shared;

/// Ends the streams, consoles among them, and says how many those were. Their subject may come
/// back while its token is good.
pub(super) async fn revoke(
    shared: &Shared,
    request: &Parts,
    subject: &str,
) -> Result<usize, Error> {
    // On a hub without credentials there are no subjects, and nobody to decide about them.
    shared.access.caller(request).await?.administer()?;
    let (done, mut counts) = mpsc::unbounded_channel();
    // The channel closes when the last shard has answered, or has gone.
    for delivery in [&shared.delivery, &shared.console.delivery] {
        let done = done.clone();
        delivery.cut(subject, move |count| {
            let _ = done.send(count);
        });
    }
    drop(done);
    let mut sum = 0;
    while let Some(count) = counts.recv().await {
        sum += count;
    }
    tracing::info!(streams = sum, "the streams of a subject were cut");
    Ok(sum)
}
