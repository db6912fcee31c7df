//! One address opens more streams than it may have.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::head;
use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct ManyStreams;

impl Attack for ManyStreams {
    fn name(&self) -> &'static str {
        "many streams"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut held = Vec::new();
            for _ in 0..1_200 {
                held.extend(target.say(head("GET", "/sse/events?topic=other", "")).await.ok());
            }
            sleep(Duration::from_secs(1)).await;
        })
    }
}
