//! What is sent is no HTTP.

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct Nonsense;

impl Attack for Nonsense {
    fn name(&self) -> &'static str {
        "nonsense"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            for _ in 0..20 {
                let length = fastrand::usize(1..20_000);
                let bytes: Vec<_> = (0..length).map(|_| fastrand::u8(..)).collect();
                let _ = target.hear(bytes).await;
            }
        })
    }
}
