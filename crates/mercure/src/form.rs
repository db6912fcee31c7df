//! `application/x-www-form-urlencoded`, read strictly: a text that is not UTF-8 must not become another.

use percent_encoding::percent_decode_str;

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name or a value does not decode to UTF-8")]
pub struct NotUtf8;

/// Names and values, in order. A name without a value has an empty one.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Result<(String, String), NotUtf8>> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

fn decode(text: &str) -> Result<String, NotUtf8> {
    let spaced = text.replace('+', " ");
    Ok(percent_decode_str(&spaced).decode_utf8().map_err(|_| NotUtf8)?.into_owned())
}
