//! Requests come with addresses that are none, or are somebody else's.

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct Disguises;

impl Attack for Disguises {
    fn name(&self) -> &'static str {
        "disguises"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut requests = Vec::new();
            for said in [&b"\xff"[..], b"127.0.0.1", b"\xc3\xa9, 127.0.0.1", b",,,", b"unix:"] {
                for _ in 0..50 {
                    let head = b"GET /sse/events?topic=news HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-For: ";
                    requests.push([&head[..], said, b"\r\n\r\n"].concat());
                }
            }
            let mut held = Vec::new();
            for request in requests {
                held.extend(target.say(request).await.ok());
            }
        })
    }
}
