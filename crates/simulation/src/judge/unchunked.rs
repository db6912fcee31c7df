//! What came over a connection, without what carries it: the response head, and the chunks if there are
//! any.

/// Takes the framing off, as it comes.
#[derive(Debug)]
pub(crate) struct Unchunked {
    state: UnchunkPhase,
    chunked: bool,
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnchunkPhase {
    Head,
    Size,
    Data(usize),
    AfterData,
    AfterLast,
    Ended,
}

impl Unchunked {
    /// At the beginning of a response.
    pub(crate) fn new(chunked: bool) -> Self {
        Self { state: UnchunkPhase::Head, chunked, held: Vec::new() }
    }

    /// Whether the head has come.
    pub(crate) fn is_open(&self) -> bool {
        self.state != UnchunkPhase::Head
    }

    /// Whether the last chunk has come.
    pub(crate) fn has_ended(&self) -> bool {
        self.state == UnchunkPhase::Ended
    }

    /// What these bytes carry; or why they are wrong.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        self.held.extend_from_slice(bytes);
        let mut carried = Vec::new();
        let mut at = 0;
        loop {
            let rest = &self.held[at..];
            match self.state {
                UnchunkPhase::Head => {
                    let Some(end) = find(rest, b"\r\n\r\n") else { break };
                    at += end + 4;
                    self.state = if self.chunked {
                        UnchunkPhase::Size
                    } else {
                        UnchunkPhase::Data(usize::MAX)
                    };
                }
                UnchunkPhase::Data(left) if !self.chunked => {
                    carried.extend_from_slice(rest);
                    at = self.held.len();
                    self.state = UnchunkPhase::Data(left);
                    break;
                }
                UnchunkPhase::Size => {
                    let Some(end) = find(rest, b"\r\n") else { break };
                    let text = std::str::from_utf8(&rest[..end]).map_err(|e| e.to_string())?;
                    let size = usize::from_str_radix(text, 16)
                        .map_err(|_| format!("{text:?} is no size of a chunk"))?;
                    at += end + 2;
                    self.state =
                        if size == 0 { UnchunkPhase::AfterLast } else { UnchunkPhase::Data(size) };
                }
                UnchunkPhase::Data(left) => {
                    let part = rest.len().min(left);
                    carried.extend_from_slice(&rest[..part]);
                    at += part;
                    if part < left {
                        self.state = UnchunkPhase::Data(left - part);
                        break;
                    }
                    self.state = UnchunkPhase::AfterData;
                }
                UnchunkPhase::AfterData | UnchunkPhase::AfterLast => {
                    if rest.len() < 2 {
                        break;
                    }
                    if !rest.starts_with(b"\r\n") {
                        return Err("a chunk is longer than it says".to_owned());
                    }
                    at += 2;
                    let last = self.state == UnchunkPhase::AfterLast;
                    self.state = if last { UnchunkPhase::Ended } else { UnchunkPhase::Size };
                }
                UnchunkPhase::Ended => {
                    if !rest.is_empty() {
                        return Err("something comes after the last chunk".to_owned());
                    }
                    break;
                }
            }
        }
        self.held.drain(..at);
        Ok(carried)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_taken_apart_wherever_they_are_cut() {
        let whole = b"HTTP/1.1 200 OK\r\n\r\n5\r\nhello\r\nA\r\n, you two!\r\n0\r\n\r\n";
        for step in 1..whole.len() {
            let mut unchunked = Unchunked::new(true);
            let parts = whole.chunks(step).map(|part| unchunked.push(part).expect("well-formed"));
            assert_eq!(parts.collect::<Vec<_>>().concat(), b"hello, you two!");
            assert!(unchunked.has_ended());
        }
        assert!(Unchunked::new(true).push(b"\r\n\r\n3\r\nhello\r\n").is_err());
    }
}
