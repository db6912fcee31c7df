//! First bytes: which protocol a connection speaks, as far as what its client sends first tells it.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

/// What an HTTP/2 client with prior knowledge begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a TLS client begins with: the type of a handshake record (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstBytes {
    /// It ended, or is to end, before there were any.
    Nothing,
    /// Not yet: the hub changes hands.
    Parked,
    Tls,
    Http1,
    Http2,
}

/// Waits for enough of what the client sends first to tell. It stays unread.
pub(super) async fn peek(socket: &TcpStream) -> io::Result<FirstBytes> {
    /// For a preface that arrives in pieces, which peeking cannot wait for: when to look again,
    /// ever less often.
    const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
    let mut look = LOOK.0;
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let seen = match socket.peek(&mut first).await? {
            0 => return Ok(FirstBytes::Nothing),
            seen => &first[..seen],
        };
        match seen {
            [TLS_HANDSHAKE, ..] => return Ok(FirstBytes::Tls),
            HTTP2_PREFACE => return Ok(FirstBytes::Http2),
            _ if HTTP2_PREFACE.starts_with(seen) => {
                sleep(look).await;
                look = (look * 2).min(LOOK.1);
            }
            _ => return Ok(FirstBytes::Http1),
        }
    }
}
