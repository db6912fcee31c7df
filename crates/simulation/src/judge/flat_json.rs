//! JSON as far as an envelope needs it: one object of strings, nulls and lists of strings.

/// The members, in order, of a list its last; `None` where it is anything else.
pub(crate) fn flat_json(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let mut rest = text.strip_prefix('{')?;
    let mut members = Vec::new();
    loop {
        let (name, after) = string(rest)?;
        rest = after.strip_prefix(':')?;
        let (value, after) = match (rest.strip_prefix("null"), rest.strip_prefix('[')) {
            (Some(after), _) => (None, after),
            (None, Some(list)) => list_of_strings(list)?,
            (None, None) => string(rest).map(|(value, after)| (Some(value), after))?,
        };
        rest = after;
        members.push((name, value));
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return (rest == "}").then_some(members),
        }
    }
}

/// The last of a list of which the bracket is gone, and what comes behind it.
fn list_of_strings(mut rest: &str) -> Option<(Option<String>, &str)> {
    loop {
        let (value, after) = string(rest)?;
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Some((Some(value), after.strip_prefix(']')?)),
        }
    }
}

fn string(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let (mut value, mut chars) = (String::new(), text.char_indices());
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                plain @ ('"' | '\\' | '/') => value.push(plain),
                _ => return None,
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_strings_is_read() {
        let read = flat_json(r#"{"a":"x\"\n","b":null}"#).expect("well-formed");
        assert_eq!(read, [("a".into(), Some("x\"\n".into())), ("b".into(), None)]);
        assert_eq!(flat_json(r#"{"a":1}"#), None);
    }
}
