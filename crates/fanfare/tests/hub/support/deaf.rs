//! An HTTP/2 client that gives every answer all the room there is, and never reads its socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::TEST_TIMEOUT;

/// A connection that is not read.
#[derive(Debug)]
pub(crate) struct Deaf {
    runtime: Runtime,
    address: SocketAddr,
    requests: SendRequest<Bytes>,
    /// Whoever drops one resets its stream.
    answers: Mutex<Vec<ResponseFuture>>,
}

/// A socket from which nothing comes.
#[derive(Debug)]
struct Mute(TcpStream);

impl Deaf {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Self {
        /// The most that a window may be (RFC 9113, 6.9.1).
        const WIDE: u32 = (1 << 31) - 1;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let requests = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.expect("the hub accepts connections");
            let mut builder = client::Builder::new();
            builder.initial_window_size(WIDE).initial_connection_window_size(WIDE);
            builder.initial_max_send_streams(1000);
            let shaken = builder.handshake(Mute(socket)).await;
            let (requests, connection) = shaken.expect("nothing of it has to be read");
            tokio::spawn(connection);
            requests
        });
        Self { runtime, address, requests, answers: Mutex::default() }
    }

    /// Asks for the same so many times.
    pub(crate) fn ask(&self, method: &str, path: &str, header: (&str, &str), times: usize) {
        let request = || {
            http::Request::builder()
                .method(method)
                .uri(format!("http://{}{path}", self.address))
                .header(header.0, header.1)
                .body(())
                .unwrap()
        };
        let mut answers = self.answers.lock().unwrap();
        self.runtime.block_on(async {
            for _ in 0..times {
                let ready = timeout(TEST_TIMEOUT, self.requests.clone().ready()).await;
                let mut ready = ready.expect("there is room for it").expect("the hub is there");
                answers.push(ready.send_request(request(), true).unwrap().0);
            }
        });
    }
}

impl AsyncRead for Mute {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Mute {
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
