//! Regular expressions made of what strangers give: what each may take up, compiled, is bounded and known.
//!
//! They are those of the `regex` crate, which takes time linear in the text.

use regex::{Error, Regex, RegexBuilder};

/// What one may take up, compiled, in bytes: the smallest of these that suffices.
const SIZES: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024];

/// How many times that much it takes up in all: read in both directions, and with what matching remembers.
const TIMES: usize = 6;

/// A regular expression.
#[derive(Debug)]
pub(crate) struct Compiled {
    regex: Regex,
    footprint: usize,
}

impl Compiled {
    /// Reads one; `None` if it is none, or takes too much.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        for size in SIZES {
            let mut builder = RegexBuilder::new(text);
            match builder.size_limit(size).dfa_size_limit(size).build() {
                Ok(regex) => return Some(Self { regex, footprint: TIMES * size }),
                Err(Error::CompiledTooBig(_)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Whether the text holds a match.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// How many bytes it may take up.
    pub(crate) fn footprint(&self) -> usize {
        self.footprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_expression_is_counted_as_a_small_one() {
        let footprint = |text: &str| Compiled::parse(text).map(|compiled| compiled.footprint());
        let small = footprint(r"^https://example\.com/books/[a-z]+$").unwrap();
        assert!(small < footprint(r"^\d+$").unwrap());
        assert_eq!(footprint(r"^\w{1000}$"), None);
        assert_eq!(footprint("("), None);
    }
}
