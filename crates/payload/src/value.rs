//! A JSON value as Python holds it, kept to be echoed in a refusal.

use std::collections::HashMap;
use std::fmt::{self, Write};

/// What `json.loads` makes of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Its digits, of which there may be [thousands](crate::MAX_INTEGER_DIGITS).
    Integer(Box<str>),
    /// May be infinite or not a number.
    Float(f64),
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
pub(crate) struct Object(Vec<(String, Value)>);

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
        let mut kept: Vec<(String, Value)> = Vec::with_capacity(members.len());
        for (name, value) in members {
            match places.get(&name.shown) {
                Some(&place) => kept[place].1 = value,
                None => {
                    places.insert(name.shown.clone(), kept.len());
                    kept.push((name.shown, value));
                }
            }
        }
        Self(kept)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// The value as `json.dumps` writes it without spaces, byte for byte; what JSON cannot say is
/// null.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(digits) => f.write_str(digits),
            Self::Float(number) => write_float(f, *number),
            Self::Text(text) => Quoted(&text.shown).fmt(f),
            Self::Array(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    value.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(Object(members)) => {
                f.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    write!(f, "{}:{value}", Quoted(name))?;
                }
                f.write_char('}')
            }
        }
    }
}

/// As Python's `repr`: the shortest digits that read back as the same number. Rust changes to
/// exponents at the same sizes, but writes `1e16` for `1e+16` and `1e-5` for `1e-05`.
fn write_float(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
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
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}
