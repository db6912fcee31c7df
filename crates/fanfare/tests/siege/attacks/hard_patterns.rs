//! Subscriptions with patterns that are hard to match, and topics that are hard for them.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{head, token};

#[derive(Debug)]
pub(crate) struct HardPatterns;

impl Attack for HardPatterns {
    fn name(&self) -> &'static str {
        "hard patterns"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut held = Vec::new();
            for number in 0..20 {
                let patterns: Vec<_> =
                    (0..16).map(|n| format!("topic=mallory/**/a/**/b{number}/*/**/c{n}")).collect();
                let path = format!("/sse/events?{}", patterns.join("&"));
                held.extend(target.say(head("GET", &path, "")).await.ok());
            }
            let topic = format!("mallory{}", "/a".repeat(120));
            let body = format!(r#"{{"topic":"{topic}","message":"m"}}"#);
            let more = format!(
                "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
                token(),
                body.len()
            );
            let _ = target.hear((head("POST", "/sse/send", &more) + &body).repeat(20)).await;
            sleep(Duration::from_millis(500)).await;
        })
    }
}
