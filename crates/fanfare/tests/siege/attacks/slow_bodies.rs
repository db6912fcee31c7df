//! Bodies are begun and not finished, by somebody who may publish.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{FROM_ELSEWHERE, head, token};

#[derive(Debug)]
pub(crate) struct SlowBodies;

impl Attack for SlowBodies {
    fn name(&self) -> &'static str {
        "slow bodies"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let more = format!(
                "{FROM_ELSEWHERE}Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Content-Length: 4000000\r\n",
                token()
            );
            let begun = head("POST", "/sse/send", &more) + &"x".repeat(1 << 20);
            let mut held = Vec::new();
            for _ in 0..50 {
                held.extend(target.say(&begun).await.ok());
            }
            sleep(Duration::from_secs(2)).await;
        })
    }
}
