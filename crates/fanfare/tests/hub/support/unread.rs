//! An HTTP/2 client that asks and never reads: it gives no stream any room.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::TEST_TIMEOUT;

/// Connections whose answers are not read. They go on answering pings until this is dropped.
#[derive(Debug)]
pub(crate) struct Unread {
    _runtime: Runtime,
    _requests: Vec<SendRequest<Bytes>>,
    /// The answers whose heads have come.
    pub(crate) answered: usize,
    _bodies: Vec<h2::RecvStream>,
}

impl Unread {
    /// Opens `connections`, on each of which `path` is asked for so many times, and awaits the heads.
    /// Whoever is closed before is not counted as answered.
    pub(crate) fn open(address: SocketAddr, connections: usize, each: usize, path: &str) -> Self {
        Self::with_window(0, address, connections, each, path)
    }

    /// The same, with room for so many bytes of each answer.
    pub(crate) fn with_window(
        window: u32,
        address: SocketAddr,
        connections: usize,
        each: usize,
        path: &str,
    ) -> Self {
        Self::begin(window, address, connections, each, path, None)
    }

    /// The same as [`Unread::open`], with this header in each request.
    pub(crate) fn saying(
        header: (&str, &str),
        address: SocketAddr,
        connections: usize,
        each: usize,
        path: &str,
    ) -> Self {
        Self::begin(0, address, connections, each, path, Some(header))
    }

    fn begin(
        window: u32,
        address: SocketAddr,
        connections: usize,
        each: usize,
        path: &str,
        header: Option<(&str, &str)>,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (mut requests, mut answers, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        runtime.block_on(async {
            for _ in 0..connections {
                let socket =
                    TcpStream::connect(address).await.expect("the hub accepts connections");
                let mut builder = client::Builder::new();
                builder.initial_window_size(window).initial_max_send_streams(each);
                let Ok((sender, connection)) = builder.handshake(socket).await else { continue };
                tokio::spawn(connection);
                for _ in 0..each {
                    let Ok(mut ready) = sender.clone().ready().await else { break };
                    let mut request = http::Request::get(format!("http://{address}{path}"));
                    if let Some((name, value)) = header {
                        request = request.header(name, value);
                    }
                    let Ok((answer, _)) = ready.send_request(request.body(()).unwrap(), true)
                    else {
                        break;
                    };
                    answers.push(answer);
                }
                requests.push(sender);
            }
            for answer in answers {
                let answer = timeout(TEST_TIMEOUT, answer).await.expect("an answer, or its end");
                bodies.extend(answer.map(http::Response::into_body));
            }
        });
        let answered = bodies.len();
        Self { _runtime: runtime, _requests: requests, answered, _bodies: bodies }
    }
}
