//! Large bodies are sent that are refused, and the answers are not read.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{FROM_ELSEWHERE, head, token};

#[derive(Debug)]
pub(crate) struct RefusedBodies;

impl Attack for RefusedBodies {
    fn name(&self) -> &'static str {
        "refused bodies"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let body = "\u{1}".repeat(1 << 20);
            let more = format!(
                "{FROM_ELSEWHERE}Authorization: Bearer {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n",
                token(),
                body.len()
            );
            let whole = head("POST", "/sse/send", &more) + &body;
            let mut held = Vec::new();
            for _ in 0..10 {
                held.extend(target.say(&whole).await.ok());
            }
            sleep(Duration::from_millis(500)).await;
        })
    }
}
