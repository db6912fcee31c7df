//! Lines that are published as they come, in one request that goes on, and answered as they become durable.
//!
//! Unlike a batch, a line has no key: one whose answer is lost with its connection may have been published.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::outgoing_body::Pipe;
use crate::{Client, HubAnswer, Message, RequestError};

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// How long a hub says nothing at most; it says that it is still there every 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// How many pieces may be on their way to the connection.
const PIECES: usize = 4;
/// The longest line of an answer, in bytes: all that can be wrong with a line, each with what it quotes.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Where lines go. Dropping it ends the request.
#[derive(Debug)]
pub struct LineSender(mpsc::Sender<Bytes>);

/// Where answers come from.
#[derive(Debug)]
pub struct LineAnswers {
    url: String,
    body: Incoming,
    unread: BytesMut,
}

/// What is said of lines, which are counted from 1 in each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineAnswer {
    /// These are published, and have consecutive ids.
    Published {
        /// The first and the last line.
        lines: [u64; 2],
        /// How many events are in them.
        count: u64,
        /// The id of the first.
        first: String,
    },
    /// One was refused, and others may have been published behind it.
    Refused {
        /// The line.
        line: u64,
        /// Why.
        answer: HubAnswer,
    },
    /// Everything up to this line was answered, and nothing behind it is published.
    Ended {
        /// The line; 0 is none.
        line: u64,
        /// Why, where it is not that the request has ended.
        why: Option<HubAnswer>,
    },
}

/// Whoever takes the lines has gone. What it said of them is among the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub takes no more lines")]
pub struct NoMoreLines;

impl Message<'_> {
    /// The message as a line of such a request, with its end.
    pub fn to_line(self) -> Bytes {
        let mut line = self.to_json();
        line.push('\n');
        line.into()
    }
}

impl Client {
    /// Begins to publish lines.
    pub async fn publish_lines(&self) -> Result<(LineSender, LineAnswers), RequestError> {
        let (sender, receiver) = mpsc::channel(PIECES);
        let url = self.url().send();
        let request =
            self.request(Method::POST, &url).header(CONTENT_TYPE, LINES).header(ACCEPT, LINES);
        let asked = self.ask(&url, request, Either::Right(Pipe(receiver)));
        let response = self.in_time(&url, asked).await?;
        if response.headers().get(CONTENT_TYPE) != Some(&LINES) {
            let saw = "it does not answer line by line".to_owned();
            return Err(RequestError::NotAHub { url, saw });
        }
        let answers = LineAnswers { url, body: response.into_body(), unread: BytesMut::new() };
        Ok((LineSender(sender), answers))
    }
}

impl LineSender {
    /// Sends whole lines, as soon as there is room on the way.
    pub async fn send(&self, lines: Bytes) -> Result<(), NoMoreLines> {
        self.0.send(lines).await.map_err(|_| NoMoreLines)
    }
}

#[derive(Deserialize)]
struct AnswerLine {
    lines: Option<[u64; 2]>,
    count: Option<u64>,
    first: Option<String>,
    line: Option<u64>,
    status: Option<u16>,
    error: Option<Value>,
    end: Option<String>,
    retry_after: Option<u64>,
}

impl LineAnswers {
    /// The next answer. May be given up and asked for again.
    pub async fn next(&mut self) -> Result<LineAnswer, RequestError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.split_to(end);
                self.unread.advance(1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let read = read(&line);
                return read.ok_or_else(|| self.unlike(&line));
            }
            if self.unread.len() > LONGEST_ANSWER {
                return Err(self.unlike(&self.unread));
            }
            let url = &self.url;
            let silent = |_| RequestError::Silent { url: url.clone(), after: SILENCE };
            match timeout(SILENCE, self.body.frame()).await.map_err(silent)? {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.unread.extend_from_slice(&bytes);
                    }
                }
                Some(Err(error)) => return Err(RequestError::from_body(url, error)),
                None => {
                    let reason = "the answer ended without its last line".to_owned();
                    let source = reason.clone().into();
                    return Err(RequestError::Broken { url: url.clone(), reason, source });
                }
            }
        }
    }

    /// What this answer says, as a failure of the request.
    pub fn refusal(&self, answer: HubAnswer) -> RequestError {
        RequestError::from_answer(&self.url, answer)
    }

    fn unlike(&self, line: &[u8]) -> RequestError {
        let beginning = &line[..line.len().min(100)];
        let saw = String::from_utf8_lossy(beginning).into_owned();
        RequestError::NotAHub { url: self.url.clone(), saw }
    }
}

fn read(line: &[u8]) -> Option<LineAnswer> {
    let mut wire: AnswerLine = serde_json::from_slice(line).ok()?;
    let (error, retry_after) = (wire.error.take(), wire.retry_after);
    let answer = |status: u16| {
        let status = StatusCode::from_u16(status).ok()?;
        let said = error.map(|error| error.to_string()).unwrap_or_default();
        let mut answer = HubAnswer::new(status, &HeaderMap::new(), said.as_bytes());
        answer.retry_after = retry_after.map(Duration::from_secs);
        Some(answer)
    };
    match wire {
        AnswerLine { lines: Some(lines), count: Some(count), first: Some(first), .. } => {
            Some(LineAnswer::Published { lines, count, first })
        }
        AnswerLine { end: Some(_), line: Some(line), status: None, .. } => {
            Some(LineAnswer::Ended { line, why: None })
        }
        AnswerLine { end: Some(_), line: Some(line), status: Some(status), .. } => {
            Some(LineAnswer::Ended { line, why: Some(answer(status)?) })
        }
        AnswerLine { line: Some(line), status: Some(status), .. } => {
            Some(LineAnswer::Refused { line, answer: answer(status)? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_read_as_it_was_written() {
        let published = r#"{"lines":[1,3],"count":2,"first":"7-8","last":"7-9","durability":"os"}"#;
        assert_eq!(
            read(published.as_bytes()),
            Some(LineAnswer::Published { lines: [1, 3], count: 2, first: "7-8".into() })
        );
        let complete = r#"{"end":"complete","line":3}"#;
        assert_eq!(read(complete.as_bytes()), Some(LineAnswer::Ended { line: 3, why: None }));
        let refused = r#"{"line":2,"status":422,"error":{"detail":"no"}}"#;
        let Some(LineAnswer::Refused { line: 2, answer }) = read(refused.as_bytes()) else {
            panic!("{refused}");
        };
        assert_eq!(answer.to_string(), "422 Unprocessable Entity: no");
        let draining =
            r#"{"end":"draining","line":0,"status":503,"error":{"detail":"x"},"retry_after":1}"#;
        let Some(LineAnswer::Ended { line: 0, why: Some(answer) }) = read(draining.as_bytes())
        else {
            panic!("{draining}");
        };
        assert_eq!(answer.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(b"<html>"), None);
    }
}
