//! A parser of event streams, by the HTML standard (9.2.6), written without a look at the hub's.

/// An event as a client hears it. The buffers are used again for the next.
#[derive(Debug, Default)]
pub struct ParsedSseEvent {
    /// The last id that was sent, which stays until another comes.
    pub id: String,
    /// Its type; empty where none was sent.
    pub kind: String,
    /// Its data.
    pub data: String,
    has_data: bool,
}

/// What was read so far.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    event: ParsedSseEvent,
    after_cr: bool,
    begun: bool,
}

impl SseParser {
    /// Takes bytes and calls `each` for every event in them, until it says `false`. An error is
    /// what a hub must never send.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&ParsedSseEvent) -> bool,
    ) -> Result<bool, String> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            self.after_cr = bytes[end] == b'\r';
            let line = std::mem::take(&mut self.line);
            let go_on = if line.is_empty() {
                self.take(&bytes[..end], &mut each)?
            } else {
                let mut line = line;
                line.extend_from_slice(&bytes[..end]);
                let go_on = self.take(&line, &mut each)?;
                line.clear();
                self.line = line;
                go_on
            };
            bytes = &bytes[end + 1..];
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(&ParsedSseEvent) -> bool,
    ) -> Result<bool, String> {
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xEF\xBB\xBF") {
            return Err("a byte order mark".to_owned());
        }
        let event = &mut self.event;
        if line.is_empty() {
            let mut go_on = true;
            if event.has_data {
                // The last of the line breaks is not part of the data.
                event.data.pop();
                go_on = each(event);
            }
            event.kind.clear();
            event.data.clear();
            event.has_data = false;
            return Ok(go_on);
        }
        let line = str::from_utf8(line)
            .map_err(|_| format!("not UTF-8: {:?}", String::from_utf8_lossy(line)))?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                event.has_data = true;
                event.data.push_str(value);
                event.data.push('\n');
            }
            "event" => value.clone_into(&mut event.kind),
            "id" => value.clone_into(&mut event.id),
            "" | "retry" => {}
            other => return Err(format!("an unknown field {other:?}")),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(chunks: &[&str]) -> Vec<(String, String, String)> {
        let (mut parser, mut heard) = (SseParser::default(), Vec::new());
        for chunk in chunks {
            let each = |event: &ParsedSseEvent| {
                heard.push((event.id.clone(), event.kind.clone(), event.data.clone()));
                true
            };
            parser.push(chunk.as_bytes(), each).expect("it is well formed");
        }
        heard
    }

    #[test]
    fn an_event_is_heard_the_same_wherever_its_bytes_are_cut() {
        let text = ":\nretry: 5\nid: 1-2\nevent: a\ndata:  x\ndata: \ndata: y: z\n\n:\ndata: b\n\n";
        let whole = heard(&[text]);
        let first = ("1-2".to_owned(), "a".to_owned(), " x\n\ny: z".to_owned());
        let second = ("1-2".to_owned(), String::new(), "b".to_owned());
        assert_eq!(whole, [first, second]);
        for cut in 0..text.len() {
            assert_eq!(heard(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }
}
