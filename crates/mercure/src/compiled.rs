//! Regular expressions made of what strangers give: what each takes to compile and may take up, compiled, is bounded
//! and known.
//!
//! They are those of the `regex` crate, which takes time linear in the text. They are of bytes: a class of characters
//! is of 256 at most, where one of Unicode's takes a thousand times as long to read.

use regex::Error;
use regex::bytes::{Regex, RegexBuilder};

/// What one may take up, compiled, in bytes: the smallest of these that suffices.
const SIZES: [usize; 3] = [4 * 1024, 16 * 1024, 64 * 1024];

/// How many times that much it takes up in all: read in both directions, and with what matching remembers.
const TIMES: usize = 6;

/// How many bytes of it, compiled, take as long to write as one of its text to read.
const TRANSLATION: usize = 32;

/// A regular expression.
#[derive(Debug)]
pub(crate) struct Compiled {
    regex: Regex,
    footprint: usize,
    work: usize,
}

impl Compiled {
    /// The longest, in bytes as it is written.
    const MAX_LENGTH: usize = 4 * 1024;

    /// Reads one; `None` if it is none, is not of bytes, or takes too much.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_LENGTH || !is_bytes_only(text) {
            return None;
        }
        for size in SIZES {
            let mut builder = RegexBuilder::new(text);
            match builder.unicode(false).size_limit(size).dfa_size_limit(size).build() {
                Ok(regex) => {
                    let work = text.len() + size / TRANSLATION;
                    return Some(Self { regex, footprint: TIMES * size, work });
                }
                Err(Error::CompiledTooBig(_)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Whether the text holds a match.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }

    /// How many bytes it may take up.
    pub(crate) fn footprint(&self) -> usize {
        self.footprint
    }

    /// What compiling it took, in bytes of its text.
    pub(crate) fn work(&self) -> usize {
        self.work
    }
}

/// Whether no group switches Unicode on, nor lets space hide one that does.
fn is_bytes_only(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '(']) {
        let (escape, behind) = (rest[at..].starts_with('\\'), &rest[at + 1..]);
        let mut behind = behind.chars();
        if escape {
            behind.next();
        } else if let Some(flags) = behind.as_str().strip_prefix('?') {
            let end = flags.find(|c: char| !c.is_ascii_alphabetic() && c != '-');
            if flags[..end.unwrap_or(flags.len())].contains(['u', 'x']) {
                return false;
            }
        }
        rest = behind.as_str();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_expression_counts_for_more() {
        let footprint = |text: &str| Compiled::parse(text).map(|compiled| compiled.footprint());
        let small = footprint(r"^https://example\.com/books/[a-z]+$").unwrap();
        assert!(small < footprint(r"^\w{100}$").unwrap());
        assert_eq!(footprint(r"^\w{10000}$"), None);
        assert_eq!(footprint(&"a".repeat(Compiled::MAX_LENGTH + 1)), None);
        assert_eq!(footprint("("), None);
    }

    #[test]
    fn an_expression_is_read_without_unicode() {
        for (text, matched, not) in [
            (r"^\w\d\s$", "a1 ", "é1 "),
            (r"^(?i:k)$", "K", "\u{212a}"),
            (r"^[^/]+$", "a", "/"),
            (r"^(?i:é)$", "é", "É"),
            (r"^\(?u$", "(u", "("),
            (r"^(?:u|x)(?P<u>a)$", "xa", "x"),
        ] {
            let compiled = Compiled::parse(text).unwrap();
            assert!(compiled.is_match(matched) && !compiled.is_match(not), "{text}");
        }
        for text in [
            r"[!-\x{ffff}]",
            r"[\x{80}]",
            "[é]",
            r"\pL",
            r"\p{Greek}",
            "(?u)a",
            "(?iu:a)",
            "(?-u:a)",
            "(?x)( ?u:a)",
            r"\\(?u:a)",
            r"\((?u)a",
        ] {
            assert!(Compiled::parse(text).is_none(), "{text}");
        }
    }
}
