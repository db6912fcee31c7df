//! What is sent is no HTTP.

use crate::attack::{Attack, Target, Waging};

#[derive(Debug)]
pub(crate) struct Nonsense;

impl Attack for Nonsense {
    fn name(&self) -> &'static str {
        "nonsense"
    }

    fn wage<'a>(&'a self, target: &'a Target) -> Waging<'a> {
        Box::pin(async move {
            for _ in 0..20 {
                let length = fastrand::usize(1..20_000);
                let bytes: Vec<_> = (0..length).map(|_| fastrand::u8(..)).collect();
                let _ = target.hear(bytes).await;
            }
        })
    }
}
