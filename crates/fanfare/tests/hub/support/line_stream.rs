//! A publisher that streams lines over HTTP/1.1, and what it is answered meanwhile.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Connection, Hub, Response};

/// A publish that goes on.
#[derive(Debug)]
pub(crate) struct LineStream {
    connection: Connection,
    answers: VecDeque<Value>,
    /// Of an answer, what has come.
    begun: Vec<u8>,
}

impl LineStream {
    /// Begins one, with these headers besides; the head of its answer.
    pub(crate) fn ask(connection: Connection, headers: &[(&str, &str)]) -> (Response, Self) {
        let mut connection = connection;
        let mut head = "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\n\
             Content-Type: application/x-ndjson\r\nAccept: application/x-ndjson\r\n\
             Transfer-Encoding: chunked\r\n"
            .to_owned();
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        connection.send(head + "\r\n");
        let head = connection.head();
        (head, Self { connection, answers: VecDeque::new(), begun: Vec::new() })
    }

    /// Begins one that is answered line by line.
    pub(crate) fn open(hub: &Hub, headers: &[(&str, &str)]) -> Self {
        let (head, stream) = Self::ask(hub.connect(), headers);
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("content-type"), Some("application/x-ndjson"));
        stream
    }

    /// Sends a piece of the body.
    pub(crate) fn send(&mut self, piece: &str) {
        self.connection.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
    }

    /// Sends a piece, if it is still read.
    pub(crate) fn try_send(&mut self, piece: &str) -> std::io::Result<()> {
        self.connection.try_send(format!("{:x}\r\n{piece}\r\n", piece.len()))
    }

    /// Ends the body.
    pub(crate) fn finish(&mut self) {
        self.connection.send("0\r\n\r\n");
    }

    /// What is said next.
    pub(crate) fn answer(&mut self) -> Value {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return answer;
            }
            let chunk = self.connection.chunk().expect("the answer ends with a last line");
            self.begun.extend(chunk.expect("the answer ends with a last line"));
            while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.begun.drain(..=end).collect();
                if !line.trim_ascii().is_empty() {
                    let answer = serde_json::from_slice(&line);
                    self.answers.push_back(answer.expect("each line is JSON"));
                }
            }
        }
    }

    /// The last that is said: nothing else comes before it, nor behind it.
    pub(crate) fn end(&mut self) -> Value {
        let end = self.answer();
        assert!(end.get("end").is_some(), "{end}");
        assert_eq!(self.connection.chunk(), Ok(None));
        end
    }
}
