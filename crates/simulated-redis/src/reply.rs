//! A reply, as a command makes it.

use redis::Value;

/// What a command or a script answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Nil,
    Int(i64),
    Text(Vec<u8>),
    Status(String),
    Array(Vec<Reply>),
    /// A code and words.
    Error(String),
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    pub(crate) fn error(words: impl Into<String>) -> Self {
        Self::Error(words.into())
    }

    pub(crate) fn wrong_type() -> Self {
        Self::error("WRONGTYPE Operation against a key holding the wrong kind of value")
    }

    pub(crate) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().to_vec())
    }

    pub(crate) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// As a client hands it on.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Int(number) => Value::Int(number),
            Self::Text(bytes) => Value::BulkString(bytes),
            Self::Status(text) if text == "OK" => Value::Okay,
            Self::Status(text) => Value::SimpleString(text),
            Self::Array(replies) => {
                Value::Array(replies.into_iter().map(Self::into_value).collect())
            }
            Self::Error(words) => {
                let line = format!("-{}\r\n", words.replace(['\r', '\n'], " "));
                redis::parse_redis_value(line.as_bytes()).expect("an error is a reply")
            }
        }
    }
}
