//! HTTP/2, in clear text with prior knowledge or over TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, client};
use http::{Request, response};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Response, TEST_TIMEOUT, tls};

/// The body of a response. The connection advances only while someone reads one of its streams,
/// as a blocking client's does.
#[derive(Debug)]
pub(crate) struct Http2Stream {
    body: RecvStream,
    /// Ends the connection when the last is dropped.
    _requests: SendRequest<Bytes>,
    runtime: Arc<Runtime>,
}

impl Http2Stream {
    /// Sends `count` equal `GET`s over one new connection and awaits the heads of the answers.
    pub(super) fn open(
        count: usize,
        address: SocketAddr,
        trust: Option<&Arc<ClientConfig>>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Vec<(Response, Self)> {
        let runtime = Arc::new(Builder::new_current_thread().enable_all().build().unwrap());
        let request = || {
            let mut request = Request::get(format!("http://{address}{path}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(()).unwrap()
        };
        runtime.block_on(within(TEST_TIMEOUT, async {
            let socket = connect(address, trust).await;
            // A stream that is not read must not use up what the others have.
            let mut client = client::Builder::new();
            client.initial_connection_window_size(16 << 20);
            let (requests, connection) =
                client.handshake(socket).await.expect("the hub speaks HTTP/2");
            tokio::spawn(connection);
            let mut streams = Vec::new();
            for _ in 0..count {
                let mut requests = requests.clone().ready().await.expect("a request is taken");
                let (response, _) = requests.send_request(request(), true).unwrap();
                let (head, body) = response.await.expect("the hub answers").into_parts();
                let runtime = Arc::clone(&runtime);
                streams.push((answer(&head), Self { body, _requests: requests, runtime }));
            }
            streams
        }))
    }

    /// More of the body; `None` after a clean end, an error where it was cut off.
    pub(super) fn some(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Self { body, runtime, .. } = self;
        runtime.block_on(within(TEST_TIMEOUT, async {
            match body.data().await {
                None => Ok(None),
                Some(Err(error)) => Err(format!("cut off: {error}")),
                Some(Ok(bytes)) => {
                    let _ = body.flow_control().release_capacity(bytes.len());
                    Ok(Some(bytes.to_vec()))
                }
            }
        }))
    }
}

/// What bytes travel over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

/// In clear text with prior knowledge, or over TLS by ALPN.
async fn connect(address: SocketAddr, trust: Option<&Arc<ClientConfig>>) -> Box<dyn Wire> {
    let socket = TcpStream::connect(address).await.expect("the hub accepts connections");
    let Some(trust) = trust else { return Box::new(socket) };
    let mut trust = ClientConfig::clone(trust);
    trust.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(trust));
    let stream = connector.connect(tls::name(), socket).await.expect("the hub speaks TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    Box::new(stream)
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    timeout(limit, future).await.unwrap_or_else(|_| panic!("nothing came for {limit:?}"))
}

fn answer(head: &response::Parts) -> Response {
    let headers = head.headers.iter();
    let headers = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()));
    Response {
        status_line: format!("HTTP/2 {}", head.status),
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
    }
}
