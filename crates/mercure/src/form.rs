//! `application/x-www-form-urlencoded`, read strictly: a text that is not UTF-8 must not become another.
//!
//! What must hold: of whatever anyone sends, at most [`MAX_PAIRS`] pairs are read.

use percent_encoding::percent_decode_str;

/// The most pairs of a name and a value in a form: a subscription has at most 256 matchers, an update 32 topics.
const MAX_PAIRS: usize = 512;

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidForm {
    /// Something in it is not text.
    #[error("a name or a value does not decode to UTF-8")]
    NotUtf8,
    /// It has more pairs than any request needs.
    #[error("a form may have at most {MAX_PAIRS} names with their values")]
    TooManyPairs,
}

/// Names and values, in order. A name without a value has an empty one.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Result<(String, String), InvalidForm>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.take(MAX_PAIRS + 1).enumerate().map(|(number, pair)| {
        if number == MAX_PAIRS {
            return Err(InvalidForm::TooManyPairs);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

fn decode(text: &str) -> Result<String, InvalidForm> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    Ok(decoded.map_err(|_| InvalidForm::NotUtf8)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_pairs_are_read_than_a_request_can_need() {
        assert!(pairs(&"a&".repeat(MAX_PAIRS)).all(|pair| pair.is_ok()));
        let many = "a&".repeat(131_000);
        let mut many = pairs(&many).skip(MAX_PAIRS);
        assert_eq!(many.next(), Some(Err(InvalidForm::TooManyPairs)));
        assert_eq!(many.next(), None, "it ends there");
    }
}
