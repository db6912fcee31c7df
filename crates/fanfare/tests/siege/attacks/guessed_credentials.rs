//! Keys are guessed and tokens forged.

use crate::attack::{Attack, AttackFuture, Target};
use crate::attack::{head, token};

#[derive(Debug)]
pub(crate) struct GuessedCredentials;

impl Attack for GuessedCredentials {
    fn name(&self) -> &'static str {
        "guessed credentials"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut requests = String::new();
            for _ in 0..250 {
                let forged = format!("{}x", token());
                for guess in [fastrand::u64(..).to_string(), forged] {
                    let more = format!("Authorization: Bearer {guess}\r\nContent-Length: 0\r\n");
                    requests.push_str(&head("POST", "/sse/send", &more));
                }
            }
            let _ = target.hear(requests).await;
        })
    }
}
