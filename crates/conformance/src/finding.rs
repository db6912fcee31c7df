//! What a check found that keeps it from passing, and how bytes are shown in a report.

use std::fmt::Write as _;

/// How many bytes of what was seen a report quotes.
const QUOTED: usize = 160;

/// Why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotPassed {
    /// The claim does not hold; what was seen instead.
    Failed(String),
    /// The claim does not apply; why.
    Skipped(String),
}

/// What a check finds.
pub(crate) type CheckResult<T = ()> = Result<T, NotPassed>;

pub(crate) fn failed<T>(seen: impl Into<String>) -> CheckResult<T> {
    Err(NotPassed::Failed(seen.into()))
}

pub(crate) fn skipped<T>(why: impl Into<String>) -> CheckResult<T> {
    Err(NotPassed::Skipped(why.into()))
}

/// Fails with what `seen` says unless `holds`.
pub(crate) fn ensure(holds: bool, seen: impl FnOnce() -> String) -> CheckResult {
    if holds { Ok(()) } else { Err(NotPassed::Failed(seen())) }
}

/// Bytes as a report shows them: quoted, escaped, and short.
pub(crate) fn quote(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut shown = String::from("\"");
    for chunk in bytes[..bytes.len().min(QUOTED)].utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == ' ' || c.is_ascii_graphic() && c != '"' && c != '\\' || c.is_alphanumeric() {
                shown.push(c);
            } else {
                shown.extend(c.escape_default());
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown.push('"');
    if bytes.len() > QUOTED {
        let _ = write!(shown, "… ({} bytes)", bytes.len());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_cannot_drive_a_terminal() {
        assert_eq!(quote("a\r\n\u{1b}[2J\"é\u{2028}"), r#""a\r\n\u{1b}[2J\"é\u{2028}""#);
        assert_eq!(quote(b"\xff\x00"), r#""\xff\u{0}""#);
        assert!(quote(vec![b'x'; 1000]).ends_with("(1000 bytes)"));
    }
}
