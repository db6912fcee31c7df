//! Revocation: `DELETE <prefix>/subscribers?subject=…` ends the streams of a subject.

use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::Cut;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::error::Error;
use super::router::Shared;

/// Ends the streams, consoles among them, at every node, and says how many of this node those
/// were. Their subject may come back while its token is good.
///
/// Here they end in any case. Where the other nodes cannot be told, that is the answer, and asking
/// again does no harm.
pub(super) async fn revoke(shared: &Shared, subject: &str) -> Result<Value, Error> {
    let count = end(shared, subject).await;
    tracing::info!(streams = count, "the streams of a subject were cut");
    let mut answer = json!({"status": "streams closed", "count": count});
    if let Some(cluster) = &shared.cluster {
        let told = cluster.cut(subject).await;
        told.map_err(|source| Error::Untold { count, source })?;
        answer["other_nodes"] = "told".into();
    }
    Ok(answer)
}

/// Ends the streams of a subject, or those that a credential let in, at this node; how many those
/// were.
pub(super) async fn end(shared: &Shared, subject: &str) -> usize {
    let (done, mut counts) = mpsc::unbounded_channel();
    let cut = Arc::from([Cut { subject: subject.into(), at: Instant::now() }]);
    // The channel closes when the last shard has answered, or has gone.
    for delivery in [&shared.delivery, &shared.console.delivery] {
        let done = done.clone();
        delivery.cut(&cut, move |count| {
            let _ = done.send(count);
        });
    }
    drop(done);
    let mut count = 0;
    while let Some(more) = counts.recv().await {
        count += more;
    }
    count
}
