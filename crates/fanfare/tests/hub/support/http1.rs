//! HTTP/1.1 by hand, so that exact bytes can be sent and seen.

use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::{TEST_TIMEOUT, tls};

/// What bytes travel over.
trait Wire: Read + Write + Debug + Send {}
impl<W: Read + Write + Debug + Send> Wire for W {}

/// One connection and what was read ahead on it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Box<dyn Wire>,
    buffer: Vec<u8>,
}

/// An answer. Header names are lower case.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status line, such as `HTTP/1.1 200 OK`.
    pub(crate) status_line: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the hub accepts connections"))
    }

    /// Connects from another address of this machine, such as 127.0.0.2.
    pub(crate) fn open_from(source: &str, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let source = SocketAddr::new(source.parse().unwrap(), 0);
        socket.bind(&source.into()).unwrap();
        socket.connect(&address.into()).expect("the hub accepts connections");
        Self::over(socket.into())
    }

    /// Connects with so small a receive buffer that a reader who pauses is soon noticed.
    pub(crate) fn open_narrow(address: SocketAddr) -> Self {
        Self::over(narrow_socket(address))
    }

    /// The same, and its socket, for whoever writes while another reads.
    pub(crate) fn open_narrow_and_socket(address: SocketAddr) -> (Self, TcpStream) {
        let socket = narrow_socket(address);
        let same = socket.try_clone().unwrap();
        (Self::over(socket), same)
    }

    /// Connects over TLS. What the hub shows is checked as soon as something is sent.
    pub(crate) fn open_secure(address: SocketAddr, trust: &Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(address).expect("the hub accepts connections");
        Self::secure_over(stream, trust)
    }

    /// Connects over TLS with a small receive buffer: see [`Connection::open_narrow`].
    pub(crate) fn open_narrow_secure(address: SocketAddr, trust: &Arc<ClientConfig>) -> Self {
        Self::secure_over(narrow_socket(address), trust)
    }

    fn secure_over(stream: TcpStream, trust: &Arc<ClientConfig>) -> Self {
        prepare(&stream);
        let client = ClientConnection::new(Arc::clone(trust), tls::name()).unwrap();
        Self { stream: Box::new(StreamOwned::new(client, stream)), buffer: Vec::new() }
    }

    fn over(stream: TcpStream) -> Self {
        prepare(&stream);
        Self { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the hub takes the request");
    }

    /// Sends bytes as they are; the hub may have closed the connection.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request with a body (none is sent where it is empty) and reads the answer.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(request(method, path, headers, body));
        self.response(method)
    }

    /// Reads the answer to a request with this method.
    pub(crate) fn response(&mut self, method: &str) -> Response {
        let mut response = self.head();
        if method != "HEAD" && !matches!(response.status, 204 | 304) {
            response.body = self.body_of(&response);
        }
        response
    }

    /// Reads the body that belongs to this head.
    pub(crate) fn body_of(&mut self, response: &Response) -> Vec<u8> {
        let length = response.header("content-length").map(|length| length.parse().unwrap());
        if response.header("transfer-encoding") == Some("chunked") {
            let begun = Instant::now();
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk().expect("the body ends with its last chunk") {
                body.extend_from_slice(&chunk);
                assert!(begun.elapsed() < TEST_TIMEOUT, "a stream, not an answer: {response:?}");
            }
            body
        } else if let Some(length) = length {
            while self.buffer.len() < length {
                assert!(self.fill(), "the body is shorter than announced: {response:?}");
            }
            self.buffer.drain(..length).collect()
        } else {
            self.rest()
        }
    }

    /// Reads an answer up to its body.
    pub(crate) fn head(&mut self) -> Response {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill(), "no head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("heads are ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap().to_owned();
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{head:?}"));
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
        Response { status_line, status, headers, body: Vec::new() }
    }

    /// Reads one chunk (RFC 9112, 7.1), `None` for the last. The error is what was there when the
    /// connection ended before it.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let cut = |buffer: &[u8]| format!("cut off after {:?}", String::from_utf8_lossy(buffer));
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                break end;
            }
            if !self.fill() {
                return Err(cut(&self.buffer));
            }
        };
        let size = std::str::from_utf8(&self.buffer[..end]).map_err(|_| cut(&self.buffer))?;
        let size = usize::from_str_radix(size, 16).map_err(|_| cut(&self.buffer))?;
        while self.buffer.len() < end + 2 + size + 2 {
            if !self.fill() {
                return Err(cut(&self.buffer));
            }
        }
        let chunk: Vec<u8> = self.buffer.drain(..end + 2 + size + 2).skip(end + 2).collect();
        assert!(chunk.ends_with(b"\r\n"), "a chunk of another size than it says: {chunk:?}");
        Ok((size > 0).then(|| chunk[..size].to_vec()))
    }

    /// Reads exactly this many bytes.
    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill(), "closed after {:?}", String::from_utf8_lossy(&self.buffer));
        }
        self.buffer.drain(..length).collect()
    }

    /// Reads so many bytes, or fewer where the connection is closed before.
    pub(crate) fn at_most(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.fill() {}
        self.buffer.drain(..length.min(self.buffer.len())).collect()
    }

    /// Reads until the connection is closed.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Waits for more bytes; false once the connection is closed or reset.
    fn fill(&mut self) -> bool {
        let begun = Instant::now();
        let mut block = [0; 16384];
        loop {
            match self.stream.read(&mut block) {
                Ok(read) => {
                    self.buffer.extend_from_slice(&block[..read]);
                    return read > 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    assert!(begun.elapsed() < TEST_TIMEOUT);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    let seen = String::from_utf8_lossy(&self.buffer);
                    panic!("nothing came for {TEST_TIMEOUT:?}; unread so far: {seen:?}");
                }
                Err(_) => return false,
            }
        }
    }
}

fn narrow_socket(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).expect("the hub accepts connections");
    socket.into()
}

fn prepare(stream: &TcpStream) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
}

/// A request's bytes. The length is stated where there is a body, and for POST.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("Host: hub.test\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Response {
    /// A header's value; `None` where it is absent. Several of one name are joined, as they may be.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {:?}", self.headers);
        value
    }

    /// The items of a list header, lower case, from all its lines.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let lines = self.headers.iter().filter(|(n, _)| n == name);
        let items = lines.flat_map(|(_, value)| value.split(','));
        items.map(|item| item.trim().to_ascii_lowercase()).filter(|item| !item.is_empty()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
