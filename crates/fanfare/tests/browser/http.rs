//! One HTTP/1.1 request over its own connection; enough for a hub or a driver on loopback.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Sends a body and returns the status and the body of the answer, which is JSON or `null`.
pub(crate) fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> std::io::Result<(u16, Value)> {
    let (status, body) = exchange(to, method, path, content_type, body)?;
    Ok((status, serde_json::from_str(&body).unwrap_or(Value::Null)))
}

/// The text at a path.
pub(crate) fn text(from: SocketAddr, path: &str) -> std::io::Result<String> {
    Ok(exchange(from, "GET", path, "text/plain", "")?.1)
}

fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..read]);
        if read == 0 || complete(&answer) {
            break;
        }
    }
    let malformed = || std::io::Error::other(String::from_utf8_lossy(&answer).into_owned());
    let text = str::from_utf8(&answer).map_err(|_| malformed())?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    Ok((status.ok_or_else(malformed)?, body.to_owned()))
}

/// Whether the answer holds as much as its `Content-Length` says.
fn complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let length =
        String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").and_then(|value| value.trim().parse().ok())
        });
    length.is_some_and(|length: usize| answer.len() >= head + 4 + length)
}
