//! A query: the parameters in a request's address.
//!
//! What must hold: anyone may send a query, before it is known who they are. So at most [`MAX_PARAMETERS`] are
//! read, and one that is looked for is decoded alone.

use std::borrow::Cow;

use fanfare_payload::near_miss;
use percent_encoding::percent_decode_str;

use crate::refusal::Refusal;

/// The most parameters of a query: a subscription has at most 256 topics and patterns, 64 types, and a few
/// others.
const MAX_PARAMETERS: usize = 512;

/// Its parameters, in order. An empty one has an empty name.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), Refusal>> {
    encoded_pairs(query).map(|pair| {
        let (name, value) = pair?;
        Ok((decode(name)?, decode(value)?))
    })
}

/// The same, as they were sent. The last item is a refusal if there are too many.
fn encoded_pairs(query: &str) -> impl Iterator<Item = Result<(&str, &str), Refusal>> {
    query.split('&').take(MAX_PARAMETERS + 1).enumerate().map(|(number, pair)| match number {
        MAX_PARAMETERS => Err(Refusal::TooManyParameters { limit: MAX_PARAMETERS }),
        _ => Ok(pair.split_once('=').unwrap_or((pair, ""))),
    })
}

/// The first parameter of this name.
pub(crate) fn find(query: &str, name: &str) -> Result<Option<String>, Refusal> {
    for pair in encoded_pairs(query) {
        let (found, value) = pair?;
        if found == name || (found.contains(['%', '+']) && decode(found)? == name) {
            return decode(value).map(Some);
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
    for pair in encoded_pairs(query) {
        let (name, value) = pair?;
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

    #[test]
    fn a_parameter_is_found_however_its_name_is_written() {
        for query in ["a=1&ticket=x+y", "%74icket=x%20y", "b&tick%65t=x+y&ticket=z"] {
            assert_eq!(find(query, "ticket").unwrap().as_deref(), Some("x y"), "{query}");
        }
        assert_eq!(find("a=%ff&b", "ticket").unwrap(), None, "what nobody looks for is not read");
        assert!(find("%ff=1&ticket=2", "ticket").is_err(), "it may be the one that is meant");
    }

    #[test]
    fn no_more_parameters_are_read_than_a_request_can_need() {
        let too_many = |query: &str| {
            let last = pairs(query).last();
            matches!(last, Some(Err(Refusal::TooManyParameters { .. })))
                && matches!(find(query, "ticket"), Err(Refusal::TooManyParameters { .. }))
                && matches!(
                    refuse_fields(query, &[], |_| ""),
                    Err(Refusal::TooManyParameters { .. })
                )
        };
        assert!(!too_many(&"&".repeat(MAX_PARAMETERS - 1)));
        assert!(too_many(&"&".repeat(MAX_PARAMETERS)));
        assert_eq!(pairs(&"&".repeat(32_000)).count(), MAX_PARAMETERS + 1, "it ends there");
    }
}
