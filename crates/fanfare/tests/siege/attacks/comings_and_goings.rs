//! Streams of many matchers come and go, of each of which the hub would tell.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target, head};

#[derive(Debug)]
pub(crate) struct ComingsAndGoings;

impl Attack for ComingsAndGoings {
    fn name(&self) -> &'static str {
        "comings and goings"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let matchers: String = (0..250).map(|n| format!("match={n}&")).collect();
            let path = format!("/.well-known/mercure?{matchers}");
            let stream = target.say(head("GET", &path, "")).await;
            sleep(Duration::from_millis(150)).await;
            drop(stream);
        })
    }
}
