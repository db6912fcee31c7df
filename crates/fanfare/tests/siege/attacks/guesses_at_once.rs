//! Keys and tickets are guessed over HTTP/2, as many at once as a connection carries.

use std::time::Duration;

use tokio::time::timeout;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct GuessesAtOnce;

impl Attack for GuessesAtOnce {
    fn name(&self) -> &'static str {
        "guesses at once"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for _ in 0..4 {
                let Some(requests) = target.http2(65_535).await else { continue };
                for number in 0..250u32 {
                    let Ok(mut ready) = requests.clone().ready().await else { break };
                    let path = match number % 2 {
                        0 => "/sse/events".to_owned(),
                        _ => format!("/sse/events?ticket={:A>43}", fastrand::u64(..)),
                    };
                    let guess = format!("Bearer a-guess-of-a-key-{}", fastrand::u64(..));
                    let request = target.request("GET", &path);
                    let request = match number % 2 {
                        0 => request.header("authorization", guess),
                        _ => request,
                    };
                    let Ok((answer, _)) = ready.send_request(request.body(()).unwrap(), true)
                    else {
                        break;
                    };
                    answers.push(answer);
                }
            }
            for answer in answers {
                let _ = timeout(Duration::from_secs(2), answer).await;
            }
        })
    }
}
