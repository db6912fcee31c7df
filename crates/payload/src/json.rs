//! JSON as Python reads it: the `json` module of CPython up to 3.12, whose scanner in C this
//! follows to the letter of its messages and the offset of its errors.
//!
//! It takes what the standard does not know: `NaN`, `Infinity` and `-Infinity`, and lone
//! surrogates. From 3.13 on, Python calls a trailing comma by name; here it is still `Expecting
//! property name enclosed in double quotes` or `Expecting value`.

use crate::value::{Object, Text, Value};

/// How deep arrays and objects may nest. Python's own bound, about 1,000, depends on how deep its
/// stack already is.
pub const MAX_DEPTH: usize = 512;

/// The most digits of an integer: Python's `sys.int_info.default_max_str_digits`.
pub const MAX_INTEGER_DIGITS: usize = 4300;

/// The most values in one text, which is one itself, as is each member of an object and each element of an array.
/// Python has no bound but memory: here, `[0,0,…]` takes 32 times what was sent.
pub const MAX_VALUES: usize = 100_000;

/// Why a text is not JSON to Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidJson {
    /// A `JSONDecodeError`.
    Syntax {
        /// Its message.
        error: &'static str,
        /// Where, in characters (code points) from the start.
        offset: usize,
    },
    /// A `RecursionError`: deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A `ValueError`: an integer of more than [`MAX_INTEGER_DIGITS`].
    IntegerTooLong,
    /// More than [`MAX_VALUES`], which is our bound, not Python's.
    TooManyValues,
}

const EXPECTING_VALUE: &str = "Expecting value";
const EXPECTING_NAME: &str = "Expecting property name enclosed in double quotes";
const EXPECTING_COLON: &str = "Expecting ':' delimiter";
const EXPECTING_COMMA: &str = "Expecting ',' delimiter";
const EXTRA_DATA: &str = "Extra data";
const CONTROL_CHARACTER: &str = "Invalid control character at";
const UNTERMINATED: &str = "Unterminated string starting at";
const BAD_ESCAPE: &str = "Invalid \\escape";
const BAD_UNICODE_ESCAPE: &str = "Invalid \\uXXXX escape";

const WORDS: [(&str, Value); 6] = [
    ("null", Value::Null),
    ("true", Value::Bool(true)),
    ("false", Value::Bool(false)),
    ("NaN", Value::NotFinite),
    ("Infinity", Value::NotFinite),
    ("-Infinity", Value::NotFinite),
];

/// Reads a text that is one JSON value.
pub(crate) fn parse(text: &str) -> Result<Value, InvalidJson> {
    let mut scanner = Scanner { text, at: 0, depth: 0, values: 0 };
    scanner.skip_whitespace();
    let value = scanner.value()?;
    scanner.skip_whitespace();
    if scanner.at < text.len() {
        return Err(scanner.error(EXTRA_DATA, scanner.at));
    }
    Ok(value)
}

/// A place in a text. `at` is in bytes and stands between characters.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// How many values have begun.
    values: usize,
}

impl<'a> Scanner<'a> {
    fn value(&mut self) -> Result<Value, InvalidJson> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(InvalidJson::TooManyValues);
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self.nested(Self::object).map(Value::Object),
            Some(b'[') => self.nested(Self::array).map(Value::Array),
            _ => self.scalar(),
        }
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, InvalidJson>,
    ) -> Result<T, InvalidJson> {
        if self.depth == MAX_DEPTH {
            return Err(InvalidJson::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_whitespace();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Object, InvalidJson> {
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Object::default());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error(EXPECTING_NAME, self.at));
            }
            let name = self.string()?;
            self.skip_whitespace();
            if !self.take(b':') {
                return Err(self.error(EXPECTING_COLON, self.at));
            }
            self.skip_whitespace();
            members.push((name, self.value()?));
            if self.ends(b'}')? {
                return Ok(Object::from_members(members));
            }
        }
    }

    fn array(&mut self) -> Result<Vec<Value>, InvalidJson> {
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            if self.ends(b']')? {
                return Ok(values);
            }
        }
    }

    /// After a member or element: whether it was the last. If not, the next begins here.
    fn ends(&mut self, bracket: u8) -> Result<bool, InvalidJson> {
        self.skip_whitespace();
        if self.take(bracket) {
            return Ok(true);
        }
        if !self.take(b',') {
            return Err(self.error(EXPECTING_COMMA, self.at));
        }
        self.skip_whitespace();
        Ok(false)
    }

    fn scalar(&mut self) -> Result<Value, InvalidJson> {
        let rest = self.rest();
        for (word, value) in WORDS {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.number()
    }

    /// The longest number that begins here; what follows it is the caller's to judge.
    fn number(&mut self) -> Result<Value, InvalidJson> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let sign = usize::from(bytes.first() == Some(&b'-'));
        let whole = match bytes.get(sign) {
            Some(b'0') => 1,
            _ => digits(&bytes[sign..]),
        };
        if whole == 0 {
            return Err(self.error(EXPECTING_VALUE, self.at));
        }
        let integer = sign + whole;
        let mut end = integer;
        if bytes.get(end) == Some(&b'.') {
            let decimals = digits(&bytes[end + 1..]);
            end += if decimals > 0 { 1 + decimals } else { 0 };
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(&bytes[end + 1 + signed..]);
            end += if exponent > 0 { 1 + signed + exponent } else { 0 };
        }
        let number = &rest[..end];
        let value = if end > integer {
            Value::Float(number.into())
        } else if whole > MAX_INTEGER_DIGITS {
            return Err(InvalidJson::IntegerTooLong);
        } else {
            Value::Integer(if number == "-0" { "0" } else { number }.into())
        };
        self.at += end;
        Ok(value)
    }

    fn string(&mut self) -> Result<Text, InvalidJson> {
        let start = self.at;
        self.at += 1;
        let mut text = Text::default();
        loop {
            let rest = self.rest();
            let stop = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(stop) = stop else { return Err(self.error(UNTERMINATED, start)) };
            text.push_str(&rest[..stop]);
            self.at += stop;
            if self.take(b'"') {
                return Ok(text);
            }
            if !self.take(b'\\') {
                return Err(self.error(CONTROL_CHARACTER, self.at));
            }
            let plain = match self.peek() {
                None => return Err(self.error(UNTERMINATED, start)),
                Some(b'u') => {
                    self.unicode_escape(&mut text)?;
                    continue;
                }
                Some(quoted @ (b'"' | b'\\' | b'/')) => char::from(quoted),
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(_) => return Err(self.error(BAD_ESCAPE, self.at - 1)),
            };
            text.push(plain);
            self.at += 1;
        }
    }

    /// At the `u` of an escape; takes the one after it too when they are a surrogate pair.
    fn unicode_escape(&mut self, text: &mut Text) -> Result<(), InvalidJson> {
        const LENGTH: usize = "uXXXX".len();
        let Some(unit) = self.code_unit() else {
            return Err(self.error(BAD_UNICODE_ESCAPE, self.at));
        };
        self.at += LENGTH;
        if (0xd800..0xdc00).contains(&unit) && self.rest().starts_with("\\u") {
            self.at += 1;
            if let Some(low @ 0xdc00..0xe000) = self.code_unit() {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                self.at += LENGTH;
                return Ok(());
            }
            self.at -= 1;
        }
        match char::from_u32(unit) {
            Some(character) => text.push(character),
            None => text.push_lone_surrogate(),
        }
        Ok(())
    }

    /// The four hexadecimal digits after the `u`, if they are that. CPython wants one character
    /// more behind them before it looks.
    fn code_unit(&self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
        if self.at + 5 == self.text.len() {
            return None;
        }
        digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
    }

    fn error(&self, error: &'static str, at: usize) -> InvalidJson {
        InvalidJson::Syntax { error, offset: self.text[..at].chars().count() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}

/// How many ASCII digits stand at the front.
fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}
