//! A query: the names and values in a request's address.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::Error;

/// The names and values, in order; a name without `=` has an empty value.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = Result<(String, String), Error>> {
    query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    })
}

/// Undoes a form's encoding (WHATWG URL, 5.1). Strictly: a topic that cannot be read must not
/// become another one.
fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| Error::Query(text.to_owned()))
}
