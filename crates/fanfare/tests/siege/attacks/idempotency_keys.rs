//! Every publish has an idempotency key that has never been there.

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{head, token};

#[derive(Debug)]
pub(crate) struct IdempotencyKeys;

impl Attack for IdempotencyKeys {
    fn name(&self) -> &'static str {
        "idempotency keys"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let (body, token) = (r#"{"topic":"mallory/a","message":"m"}"#, token());
            let mut requests = String::new();
            for _ in 0..200 {
                let more = format!(
                    "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                     Idempotency-Key: {}\r\n",
                    body.len(),
                    fastrand::u64(..)
                );
                requests.push_str(&head("POST", "/sse/send", &more));
                requests.push_str(body);
            }
            let _ = target.hear(requests).await;
        })
    }
}
