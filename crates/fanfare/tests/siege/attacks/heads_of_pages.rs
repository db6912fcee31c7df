//! The heads of large files are asked for, inflated, one after the other on one connection.

use crate::attack::head;
use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct HeadsOfPages;

impl Attack for HeadsOfPages {
    fn name(&self) -> &'static str {
        "heads of pages"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let one = head("HEAD", "/docs/swagger-ui-bundle.js", "");
            let _ = target.hear(one.repeat(200)).await;
        })
    }
}
