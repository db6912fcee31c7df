//! Server-Sent Events, read as the HTML standard says.

/// Reads a stream as it comes.
#[derive(Debug, Default)]
pub(crate) struct JudgedStream {
    line: Vec<u8>,
    /// A line feed now belongs to the line before it.
    after_return: bool,
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
    last_id: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamEvent {
    /// What a client would send as `Last-Event-ID` now.
    pub(crate) last_id: String,
    /// Whether this event has set it.
    pub(crate) has_id: bool,
    /// Its type, if it is not `message`.
    pub(crate) event: Option<String>,
    /// Its data.
    pub(crate) data: String,
}

impl JudgedStream {
    /// At the beginning, with the id that the client came with.
    pub(crate) fn new(last_id: &str) -> Self {
        Self { last_id: last_id.to_owned(), ..Self::default() }
    }

    /// The events that these bytes complete; or why they are wrong.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<StreamEvent>, String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    let line = String::from_utf8(line).map_err(|error| error.to_string())?;
                    events.extend(self.end_line(&line));
                }
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, line: &str) -> Option<StreamEvent> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => self.event = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<StreamEvent> {
        let id = self.id.take();
        let has_id = id.is_some();
        if let Some(id) = id {
            self.last_id = id;
        }
        let event = self.event.take().filter(|event| !event.is_empty());
        let data = self.data.take()?;
        Some(StreamEvent { last_id: self.last_id.clone(), has_id, event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_as_the_standard_says() {
        let text =
            "retry: 5\n:\nid: 7-1\nevent: made\ndata: a\ndata:\r\ndata:  b\n\ndata: c\n\nid: 9";
        let mut stream = JudgedStream::new("");
        let events: Vec<_> =
            text.bytes().flat_map(|byte| stream.push(&[byte]).expect("text")).collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].data, "a\n\n b");
        assert_eq!((events[0].event.as_deref(), events[0].has_id), (Some("made"), true));
        assert_eq!((events[1].last_id.as_str(), events[1].has_id), ("7-1", false));
    }
}
