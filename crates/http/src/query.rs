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

/// Passes over the parameters of a publish, unless one is named like what a publish says elsewhere, or looks
/// like that: an event would go to another topic than was meant. `place` says where a field belongs.
pub(crate) fn refuse_fields(
    query: &str,
    fields: &[&'static str],
    place: impl Fn(&str) -> &'static str,
) -> Result<(), Refusal> {
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // What cannot be read is no field.
        let Ok(name) = decode(name) else { continue };
        let field = fields.iter().copied().find(|field| *field == name);
        if let Some(meant) = field.or_else(|| near_miss(&name, fields)) {
            let value = decode(value).unwrap_or_else(|_| value.to_owned());
            return Err(Refusal::Misplaced { name, value, meant, place: place(meant) });
        }
    }
    Ok(())
}

/// Undoes a form's encoding (WHATWG URL, 5.1). Strictly: a topic that cannot be read must not
/// become another one.
fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| Refusal::Query(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_in_an_address_is_refused_and_anything_else_is_passed_over() {
        let misplaced = |query| match refuse_fields(query, &["message", "topic", "id"], |_| "body")
        {
            Err(Refusal::Misplaced { name, value, meant, .. }) => Some((name, value, meant)),
            Err(other) => panic!("{query}: {other}"),
            Ok(()) => None,
        };
        for (query, name, value, meant) in [
            ("topic=a", "topic", "a", "topic"),
            ("x=1&to%70ic=a+b", "topic", "a b", "topic"),
            ("topc", "topc", "", "topic"),
            ("id=%ff", "id", "%ff", "id"),
        ] {
            assert_eq!(
                misplaced(query),
                Some((name.to_owned(), value.to_owned(), meant)),
                "{query}"
            );
        }
        for query in ["", "&", "x=topic", "%ff=topic", "ticket=1&ids=2&text=%ff"] {
            assert_eq!(misplaced(query), None, "{query}");
        }
    }
}
