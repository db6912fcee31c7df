//! The head of an HTTP/1 answer.

use crate::finding::{CheckResult, failed, quote};

/// A status line and fields, and the bytes they were read from.
#[derive(Debug, Clone)]
pub(crate) struct RawHead {
    pub(crate) raw: Vec<u8>,
    pub(crate) minor: u8,
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
}

impl RawHead {
    /// Takes a head from the beginning of `received`, if it is there as a whole.
    ///
    /// Lines that end in a bare LF are read too: a check of its own says that they must not.
    pub(crate) fn take(received: &mut Vec<u8>) -> CheckResult<Option<Self>> {
        let crlf = find(received, b"\r\n\r\n").map(|at| at + 4);
        let lf = find(received, b"\n\n").map(|at| at + 2);
        let Some(end) = crlf.into_iter().chain(lf).min() else { return Ok(None) };
        let raw: Vec<u8> = received.drain(..end).collect();
        Self::parse(raw).map(Some)
    }

    fn parse(raw: Vec<u8>) -> CheckResult<Self> {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.lines();
        let status_line = lines.next().unwrap_or_default();
        let Some((minor, status)) = status(status_line) else {
            return failed(format!("not a status line: {}", quote(status_line)));
        };
        let mut fields = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_token(name))
            else {
                return failed(format!("not a header field: {}", quote(line)));
            };
            let value = value.trim_matches([' ', '\t']);
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Ok(Self { raw, minor, status, fields })
    }

    /// All values of a field, as one list; nothing where the field is not there.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Whether the comma-separated list of a field holds `word`, whatever its case.
    pub(crate) fn lists(&self, name: &str, word: &str) -> bool {
        self.field(name).is_some_and(|value| {
            value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    }

    /// The field for a report.
    pub(crate) fn shown(&self, name: &str) -> String {
        match self.field(name) {
            Some(value) => format!("{name}: {}", quote(value)),
            None => format!("no {name}"),
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn is_client_error(&self) -> bool {
        (400..500).contains(&self.status)
    }
}

fn status(line: &str) -> Option<(u8, u16)> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (minor, rest) = rest.split_once(' ')?;
    let code = rest.split(' ').next()?;
    if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((minor.parse().ok()?, code.parse().ok()?))
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_whole_and_no_further() {
        let mut bytes = b"HTTP/1.1 200 OK\r\nA: 1\r\na:  2 \r\n\r\nrest".to_vec();
        let head = RawHead::take(&mut bytes).unwrap().unwrap();
        assert_eq!((head.status, head.minor, head.field("a").unwrap().as_str()), (200, 1, "1, 2"));
        assert_eq!(bytes, b"rest");
        assert!(head.lists("a", "2") && !head.lists("a", "3"));
        assert!(RawHead::take(&mut b"HTTP/1.1 200 OK\r\nA: 1\r\n".to_vec()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bad in ["HTTP/1.1 20 OK\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n"]
        {
            assert!(RawHead::take(&mut bad.as_bytes().to_vec()).is_err(), "{bad:?}");
        }
    }
}
