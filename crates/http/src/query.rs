//! A query: the parameters in a request's address.

use std::borrow::Cow;

use fanfare_payload::near_miss;
use percent_encoding::percent_decode_str;

use crate::refusal::Refusal;

/// Its parameters, in order. An empty one has an empty name.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), Refusal>> {
    query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

/// The first parameter of this name.
pub(crate) fn find(query: &str, name: &str) -> Result<Option<String>, Refusal> {
    for pair in pairs(query) {
        let (found, value) = pair?;
        if found == name {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Passes over a parameter that is not known, as FastAPI does, unless it looks like one that is: a
/// stream of `topc` would be one of another topic than was meant.
pub(crate) fn pass_over(
    name: String,
    value: String,
    known: &[&'static str],
) -> Result<(), Refusal> {
    match near_miss(&name, known) {
        Some(meant) => Err(Refusal::NearMiss { name, value, meant }),
        None => Ok(()),
    }
}

/// Undoes a form's encoding (WHATWG URL, 5.1). Strictly: a topic that cannot be read must not
/// become another one.
fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| Refusal::Query(text.to_owned()))
}
