//! Reads the answer to a publish that goes on, while it is being published: a thread of its own, so that the
//! publisher waits for nobody but the server's taking of bytes.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde::Deserialize;

use crate::error::BenchError;
use crate::flow::Flow;
use crate::response::{BadResponse, ResponseHead, excerpt};

const REQUEST: &str = "POST send";
/// How much of an answer that is none is read, in bytes.
const MOST: usize = 64 << 10;

/// The thread.
#[derive(Debug)]
pub(crate) struct AnswerReader(JoinHandle<Result<(), BenchError>>);

/// What matters of a line.
#[derive(Deserialize)]
struct Line {
    count: Option<u64>,
    end: Option<String>,
}

impl AnswerReader {
    /// Reads from this connection; a failure stops the run.
    pub(crate) fn start(stream: TcpStream, flow: Arc<Flow>) -> Result<Self, BenchError> {
        let read = move || {
            let result = read(stream, &flow);
            if result.is_err() {
                flow.stop();
            }
            result
        };
        let thread = std::thread::Builder::new().name("answers".into()).spawn(read);
        thread.map(Self).map_err(BenchError::system("cannot start a thread"))
    }

    /// Waits for the end.
    pub(crate) fn join(self) -> Result<(), BenchError> {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn read(mut stream: TcpStream, flow: &Flow) -> Result<(), BenchError> {
    let bad = |source| BenchError::Response { request: REQUEST.into(), source };
    let mut chunk = vec![0; 64 << 10];
    let mut received = Vec::new();
    let mut head = loop {
        if let Some(head) = ResponseHead::parse(&received).map_err(bad)? {
            break head;
        }
        let more = stream.read(&mut chunk).map_err(BenchError::Publish)?;
        if more == 0 {
            return Err(bad(BadResponse::Closed));
        }
        received.extend_from_slice(&chunk[..more]);
    };
    let mut body = Vec::new();
    let mut piece = received.split_off(head.length);
    let (is_ok, status_line, framing) = (head.is_ok(), &head.status_line, &mut head.framing);
    let refused = |body: &[u8]| BenchError::Refused {
        request: REQUEST.into(),
        status_line: status_line.clone(),
        body: excerpt(body),
    };
    loop {
        let taken = framing.take(&piece, |bytes| body.extend_from_slice(bytes));
        taken.map_err(|source| bad(source.into()))?;
        if !is_ok {
            if framing.is_complete() || body.len() > MOST {
                return Err(refused(&body));
            }
        } else if take_lines(&mut body, flow).map_err(|line| refused(&line))? {
            return Ok(());
        }
        let more = stream.read(&mut chunk).map_err(BenchError::Publish)?;
        if more == 0 {
            return Err(bad(BadResponse::Closed));
        }
        piece.clear();
        piece.extend_from_slice(&chunk[..more]);
    }
}

/// Counts what whole lines say; true: the last has come. A line that says anything else is an error.
fn take_lines(body: &mut Vec<u8>, flow: &Flow) -> Result<bool, Vec<u8>> {
    let Some(end) = memchr::memrchr(b'\n', body) else { return Ok(false) };
    for line in body[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line { count: Some(count), .. }) => flow.acknowledged(count),
            Ok(Line { end: Some(end), .. }) if end == "complete" => return Ok(true),
            _ => return Err(line.to_vec()),
        }
    }
    body.drain(..=end);
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_counted_twice_and_no_refusal_passes_for_success() {
        let flow = Flow::default();
        let mut body =
            b"{\"lines\":[1,3],\"count\":3,\"first\":\"1-1\",\"last\":\"1-3\"}\n\n{\"li".to_vec();
        assert_eq!(take_lines(&mut body, &flow), Ok(false));
        assert_eq!((flow.published(), &body[..]), (3, &b"{\"li"[..]));
        assert_eq!(take_lines(&mut body, &flow), Ok(false));
        body = b"{\"end\":\"complete\",\"line\":3}\n".to_vec();
        assert_eq!(take_lines(&mut body, &flow), Ok(true));
        for bad in ["{\"end\":\"draining\",\"line\":3}\n", "{\"line\":1,\"status\":422}\n", "x\n"] {
            assert!(take_lines(&mut bad.as_bytes().to_vec(), &flow).is_err(), "{bad}");
        }
    }
}
