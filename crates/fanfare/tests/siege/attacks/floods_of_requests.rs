//! Whatever takes no credentials is asked for as fast as it goes: metrics, pages, what is not there.

use crate::attack::{Attack, AttackFuture, Target, head};

#[derive(Debug)]
pub(crate) struct FloodsOfRequests;

impl Attack for FloodsOfRequests {
    fn name(&self) -> &'static str {
        "floods of requests"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let paths =
                ["/metrics", "/sse/", "/nothing", "/sse/send/", "/healthz", "/openapi.json"];
            let all: String = paths.iter().map(|path| head("GET", path, "")).collect();
            let _ = target.hear(all.repeat(200)).await;
        })
    }
}
