//! Connections are opened and closed as fast as it goes.

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct StormOfConnections;

impl Attack for StormOfConnections {
    fn name(&self) -> &'static str {
        "storm of connections"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            for _ in 0..500 {
                drop(target.connect().await);
            }
        })
    }
}
