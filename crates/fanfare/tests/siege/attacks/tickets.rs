//! Tickets are drawn and never used.

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{head, token};

#[derive(Debug)]
pub(crate) struct Tickets;

impl Attack for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let more = format!("Authorization: Bearer {}\r\nContent-Length: 0\r\n", token());
            let _ = target.hear(head("POST", "/sse/ticket", &more).repeat(500)).await;
        })
    }
}
