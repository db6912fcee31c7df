//! Takes the head and the chunks off a stream, as strictly as a client may.

use crate::wire::Framing;

pub(super) const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// Takes the head and the chunks off a stream, strictly.
pub(super) struct Unframer {
    framing: Framing,
    /// What has arrived and is not complete.
    rest: Vec<u8>,
    had_head: bool,
    had_last_chunk: bool,
    /// The end of what came out.
    tail: Vec<u8>,
}

impl Unframer {
    pub(super) fn new(framing: Framing) -> Self {
        let (rest, tail) = (Vec::new(), Vec::new());
        Self { framing, rest, had_head: false, had_last_chunk: false, tail }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut out = Vec::new();
        if !self.had_head && self.rest.len() >= HEAD.len() {
            assert!(self.rest.starts_with(HEAD), "the head is damaged");
            self.rest.drain(..HEAD.len());
            self.had_head = true;
        }
        while self.had_head && !self.rest.is_empty() {
            assert!(!self.had_last_chunk, "something comes after the last chunk");
            if self.framing == Framing::Bare {
                out.append(&mut self.rest);
                break;
            }
            let Some(line) = self.rest.windows(2).position(|end| end == b"\r\n") else { break };
            let size = std::str::from_utf8(&self.rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            let end = line + 2 + size;
            let Some(after) = self.rest.get(end..end + 2) else { break };
            assert_eq!(after, b"\r\n", "a chunk is not as long as it says");
            self.had_last_chunk = size == 0;
            out.extend_from_slice(&self.rest[line + 2..end]);
            self.rest.drain(..end + 2);
        }
        self.tail.extend_from_slice(&out);
        let surplus = self.tail.len().saturating_sub(64);
        self.tail.drain(..surplus);
        out
    }

    /// Whether it ended between events, with word of when to come back, and with its last chunk.
    pub(super) fn has_ended_in_order(&self) -> bool {
        let text = String::from_utf8_lossy(&self.tail);
        let mut lines = text.split('\n').rev();
        let whole = lines.next() == Some("");
        let bidden = lines.next().is_some_and(|line| line.starts_with("retry: "));
        let between = lines.next().is_some_and(|line| {
            line.is_empty() || line.starts_with(':') || line.starts_with("retry: ")
        });
        let framed = self.framing == Framing::Bare || self.had_last_chunk;
        whole && bidden && between && framed && self.rest.is_empty()
    }
}
