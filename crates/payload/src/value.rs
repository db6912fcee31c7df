//! A JSON value as Python holds it, kept to be echoed in a refusal.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};

/// What `json.loads` makes of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Its digits, of which there may be [thousands](crate::MAX_INTEGER_DIGITS).
    Integer(Box<str>),
    /// As it was written: a number of Python's would not hold all of it.
    Float(Box<str>),
    /// `NaN` or an infinity, which JSON does not have.
    NotFinite,
    Text(Text),
    Array(Vec<Value>),
    Object(Object),
}

/// A string. Python's may hold lone surrogates, which UTF-8 cannot; each is kept as U+FFFD.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Text {
    shown: String,
    has_lone_surrogate: bool,
}

/// An object: its members in the order in which their names first came, each with the value that
/// came last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object(Vec<(Text, Value)>);

impl Text {
    pub(crate) fn push(&mut self, character: char) {
        self.shown.push(character);
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        self.shown.push_str(text);
    }

    pub(crate) fn push_lone_surrogate(&mut self) {
        self.shown.push(char::REPLACEMENT_CHARACTER);
        self.has_lone_surrogate = true;
    }

    /// The text, unless it holds a lone surrogate.
    pub(crate) fn as_unicode(&self) -> Option<&str> {
        (!self.has_lone_surrogate).then_some(&self.shown)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { shown: text.to_owned(), has_lone_surrogate: false }
    }
}

impl Object {
    /// Makes an object of its members as they were written. Names that differ only in their lone
    /// surrogates become one.
    pub(crate) fn from_members(members: Vec<(Text, Value)>) -> Self {
        let mut places: HashMap<String, usize> = HashMap::with_capacity(members.len());
        let mut kept: Vec<(Text, Value)> = Vec::with_capacity(members.len());
        for (name, value) in members {
            match places.get(&name.shown) {
                Some(&place) => kept[place].1 = value,
                None => {
                    places.insert(name.shown.clone(), kept.len());
                    kept.push((name, value));
                }
            }
        }
        Self(kept)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known.shown == name).map(|(_, value)| value)
    }

    /// Its members, each with its name as it is shown.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&*name.shown, value))
    }
}

/// What stands for what is left out.
const ELLIPSIS: &str = "…";

impl Value {
    /// The value as `json.dumps` writes it without spaces, byte for byte; what JSON cannot say is
    /// null. What is begun after `most` bytes is left out.
    pub(crate) fn echo(&self, most: usize) -> String {
        let mut echo = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut echo, most);
        echo
    }

    fn write(&self, echo: &mut String, most: usize) -> fmt::Result {
        match self {
            Self::Null => echo.write_str("null"),
            Self::Bool(value) => write!(echo, "{value}"),
            Self::Integer(digits) => echo.write_str(digits),
            // The grammar of JSON's numbers is a part of Rust's.
            Self::Float(written) => write_float(echo, written.parse().unwrap_or(f64::NAN)),
            Self::NotFinite => echo.write_str("null"),
            Self::Text(text) => write_text(echo, &text.shown, most),
            Self::Array(values) => {
                echo.push('[');
                for (index, value) in values.iter().enumerate() {
                    echo.push_str(if index == 0 { "" } else { "," });
                    if echo.len() >= most {
                        write!(echo, "{}", Quoted(ELLIPSIS))?;
                        break;
                    }
                    value.write(echo, most)?;
                }
                echo.write_char(']')
            }
            Self::Object(Object(members)) => {
                echo.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    echo.push_str(if index == 0 { "" } else { "," });
                    if echo.len() >= most {
                        write!(echo, "{0}:{0}", Quoted(ELLIPSIS))?;
                        break;
                    }
                    write_text(echo, &name.shown, most)?;
                    echo.push(':');
                    value.write(echo, most)?;
                }
                echo.write_char('}')
            }
        }
    }
}

/// Why a value that Python reads has no text in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotJson {
    /// It holds `NaN` or an infinity.
    NotFinite,
    /// A string in it holds a lone surrogate.
    NotUnicode,
}

impl Value {
    /// The value as JSON without spaces, its numbers as they were written.
    pub(crate) fn to_json(&self) -> Result<String, NotJson> {
        let mut text = String::new();
        self.append(&mut text)?;
        Ok(text)
    }

    fn append(&self, out: &mut String) -> Result<(), NotJson> {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(written) | Self::Float(written) => out.push_str(written),
            Self::NotFinite => return Err(NotJson::NotFinite),
            Self::Text(text) => append_text(out, text)?,
            Self::Array(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    value.append(out)?;
                }
                out.push(']');
            }
            Self::Object(Object(members)) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    append_text(out, name)?;
                    out.push(':');
                    value.append(out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

fn append_text(out: &mut String, text: &Text) -> Result<(), NotJson> {
    let text = text.as_unicode().ok_or(NotJson::NotUnicode)?;
    // Writing to a string cannot fail.
    let _ = write!(out, "{}", Quoted(text));
    Ok(())
}

/// A text as a JSON string, as far as it fits.
fn write_text(echo: &mut String, text: &str, most: usize) -> fmt::Result {
    echo.push('"');
    for character in text.chars() {
        if echo.len() >= most {
            echo.push_str(ELLIPSIS);
            break;
        }
        write_escaped(echo, character)?;
    }
    echo.write_char('"')
}

/// The beginning of a text, up to `most` bytes; where that is not all, with a `…` behind it.
pub fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}{ELLIPSIS}", &text[..end]).into()
}

/// As Python's `repr`: the shortest digits that read back as the same number. Rust changes to
/// exponents at the same sizes, but writes `1e16` for `1e+16` and `1e-5` for `1e-05`.
fn write_float(f: &mut impl Write, number: f64) -> fmt::Result {
    if !number.is_finite() {
        return f.write_str("null");
    }
    let text = format!("{number:?}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return f.write_str(&text) };
    match exponent.strip_prefix('-') {
        Some(exponent) => write!(f, "{mantissa}e-{exponent:0>2}"),
        None => write!(f, "{mantissa}e+{exponent:0>2}"),
    }
}

/// A text as a JSON string, escaped no further than JSON demands.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.0.chars().try_for_each(|character| write_escaped(f, character))?;
        f.write_char('"')
    }
}

fn write_escaped(f: &mut impl Write, character: char) -> fmt::Result {
    match character {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\u{8}' => f.write_str("\\b"),
        '\u{c}' => f.write_str("\\f"),
        '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(character)),
        _ => f.write_char(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn echo(text: &str, most: usize) -> String {
        json::parse(text).unwrap().echo(most)
    }

    #[test]
    fn what_fits_is_kept_and_what_is_cut_is_json() {
        for text in [r#""abc""#, r#"[1,2.5,"é"]"#, r#"{"a":[],"b":{"c":null}}"#, r#""\u0000""#] {
            assert_eq!(echo(text, text.len()), text);
            for most in 0..text.len() {
                let cut = echo(text, most);
                assert!(serde_json::from_str::<serde_json::Value>(&cut).is_ok(), "{cut}");
                assert!(cut.len() <= most + 32, "{cut} is longer than {most}");
            }
        }
        assert_eq!(echo(r#"["abcdef",1,2]"#, 5), r#"["abc…","…"]"#);
        assert_eq!(echo(r#"{"a":1,"b":2}"#, 6), r#"{"a":1,"…":"…"}"#);
    }

    #[test]
    fn no_text_is_cut_within_a_character() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("abé", 3), "ab…");
        assert_eq!(shorten("é", 0), "…");
    }
}
