//! Connections are opened and closed as fast as it goes.

use crate::attack::{Attack, Target, Waging};

#[derive(Debug)]
pub(crate) struct StormOfConnections;

impl Attack for StormOfConnections {
    fn name(&self) -> &'static str {
        "storm of connections"
    }

    fn wage<'a>(&'a self, target: &'a Target) -> Waging<'a> {
        Box::pin(async move {
            for _ in 0..500 {
                drop(target.connect().await);
            }
        })
    }
}
