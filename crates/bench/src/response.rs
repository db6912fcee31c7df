//! The head of an HTTP/1.1 response (RFC 9112, 4 and 6.3).

use memchr::memmem;

use crate::framing::{BadChunk, BodyFraming};

/// What the client needs to know of a response's head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status_line: String,
    /// How the body behind it is delimited.
    pub(crate) framing: BodyFraming,
    /// The server closes the connection behind it.
    pub(crate) closes: bool,
    /// The length of the head, in bytes.
    pub(crate) length: usize,
}

/// What is wrong with a response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// It does not begin with `HTTP/1.`.
    #[error("it is not HTTP/1.1 but begins with {0:?}")]
    NotHttp(String),
    /// Its head does not end.
    #[error("its head is longer than {MAX_HEAD} bytes")]
    TooLong,
    /// The connection closed in the midst of it.
    #[error("the connection closed before it was complete")]
    Closed,
    /// Its body's framing is broken.
    #[error("its chunks are broken: {0}")]
    Chunk(#[from] BadChunk),
}

const MAX_HEAD: usize = 64 << 10;

impl ResponseHead {
    /// Reads the head at the start of `received`; `None` while it is not complete.
    pub(crate) fn parse(received: &[u8]) -> Result<Option<Self>, BadResponse> {
        const START: &[u8] = b"HTTP/1.";
        if !received.starts_with(&START[..START.len().min(received.len())]) {
            return Err(BadResponse::NotHttp(excerpt(received)));
        }
        let Some(end) = memmem::find(received, b"\r\n\r\n") else {
            let too_long = received.len() > MAX_HEAD;
            return if too_long { Err(BadResponse::TooLong) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(&received[..end]);
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default().to_owned();
        let mut framing = BodyFraming::Close;
        let mut closes = head.starts_with("HTTP/1.0");
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") {
                // Chunked, if it is there, comes last, and overrides a length.
                if value.to_ascii_lowercase().ends_with("chunked") {
                    framing = BodyFraming::chunked();
                }
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("content-length")
                && framing == BodyFraming::Close
                && let Ok(length) = value.parse()
            {
                framing = BodyFraming::Length(length);
            }
        }
        let mut head = Self { status_line, framing, closes, length: end + 4 };
        if head.status() == Some("204") {
            head.framing = BodyFraming::Length(0);
        }
        Ok(Some(head))
    }

    /// Whether the status is 200.
    pub(crate) fn is_ok(&self) -> bool {
        self.status() == Some("200")
    }

    /// Whether the status is any of success.
    pub(crate) fn is_success(&self) -> bool {
        self.status().is_some_and(|status| status.starts_with('2'))
    }

    fn status(&self) -> Option<&str> {
        self.status_line.split(' ').nth(1)
    }
}

/// How a body or an answer begins, for an error message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<(bool, BodyFraming, usize)>, BadResponse> {
        let head = ResponseHead::parse(text.as_bytes())?;
        Ok(head.map(|head| (head.is_ok(), head.framing, head.length)))
    }

    #[test]
    fn the_framing_follows_the_headers() {
        let chunked = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\nx";
        assert_eq!(parse(chunked), Ok(Some((true, BodyFraming::chunked(), chunked.len() - 1))));
        let length = "HTTP/1.1 422 No\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(parse(length), Ok(Some((false, BodyFraming::Length(3), length.len()))));
        let neither = "HTTP/1.0 200 OK\r\n\r\n";
        assert_eq!(parse(neither), Ok(Some((true, BodyFraming::Close, neither.len()))));
        let empty = "HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(parse(empty), Ok(Some((false, BodyFraming::Length(0), empty.len()))));
    }

    #[test]
    fn a_connection_that_ends_is_not_used_again() {
        let closes = |text: &str| ResponseHead::parse(text.as_bytes()).unwrap().unwrap().closes;
        assert!(!closes("HTTP/1.1 201 Created\r\n\r\n"));
        assert!(closes("HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n"));
        assert!(closes("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(!closes("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn a_head_may_come_in_pieces_but_not_for_ever() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("HTT"), Ok(None));
        assert_eq!(parse("HTTP/1.1 200 OK\r\nx: y\r\n"), Ok(None));
        assert_eq!(parse("SSH-2.0\r\n"), Err(BadResponse::NotHttp("SSH-2.0".into())));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert_eq!(parse(&endless), Err(BadResponse::TooLong));
    }
}
