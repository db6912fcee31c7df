//! A refusal: why nothing was published, in the words of FastAPI and pydantic.

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::json::MAX_VALUES;
use crate::value::{Quoted, Value, shorten};

/// The most faults that one answer lists; a batch may hold more.
pub const MAX_DETAILS: usize = 100;

/// How much of what is wrong one fault repeats, in bytes of the answer; FastAPI repeats all of it.
/// Beyond it, a text ends in `…`, and a `…` stands for the other members of an array or an object.
/// What is being written then is finished, so that the answer stays JSON.
pub const MAX_ECHO: usize = 4096;

/// How much of a content type is repeated, in bytes.
const MAX_CONTENT_TYPE: usize = 128;

/// Why a body was refused. Nothing of it was published.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PayloadRefusal {
    /// It is not what the fields' rules ask for. Never empty.
    #[error("the body is not JSON or breaks a rule of its fields, faults found: {}", .0.len())]
    Invalid(Vec<Detail>),
    /// Its content type does not say that it is JSON.
    #[error("{}", content_type_hint(.content_type.as_deref()))]
    NotSentAsJson {
        /// What FastAPI says of it.
        detail: Box<Detail>,
        /// What the header said, if there was one.
        content_type: Option<String>,
    },
    /// It is not UTF-8, or nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH), or holds an integer
    /// of more than [`MAX_INTEGER_DIGITS`](crate::MAX_INTEGER_DIGITS).
    #[error("the body is not UTF-8, is nested too deeply or holds too long an integer")]
    Unreadable {
        /// The line of a batch at fault, counted from 1.
        line: Option<usize>,
    },
    /// A message is longer than the limit.
    #[error("the message has {bytes} bytes, at most {limit} are accepted")]
    MessageTooLong {
        /// The line of a batch at fault, counted from 1.
        line: Option<usize>,
        /// The message's length in bytes.
        bytes: usize,
        /// The most bytes a message may have.
        limit: usize,
    },
    /// One object holds more values than are read.
    #[error(
        "an event holds more than {MAX_VALUES} JSON values: send a document of that size as a \
         text, in `message`"
    )]
    TooManyValues {
        /// The line of a batch at fault, counted from 1.
        line: Option<usize>,
    },
    /// A batch holds more events than the limit.
    #[error("the batch has {events} events, at most {limit} are accepted in one request")]
    BatchTooLong {
        /// How many it holds.
        events: usize,
        /// How many it may hold.
        limit: usize,
    },
}

impl PayloadRefusal {
    /// The HTTP status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) | Self::NotSentAsJson { .. } => 422,
            Self::Unreadable { .. } => 400,
            Self::MessageTooLong { .. }
            | Self::TooManyValues { .. }
            | Self::BatchTooLong { .. } => 413,
        }
    }

    /// The `application/json` body to answer with. It echoes what is wrong, as pydantic does, up to
    /// [`MAX_ECHO`] bytes for each fault.
    pub fn body(&self) -> String {
        let detail = match self {
            Self::Invalid(details) => {
                let list: Vec<_> = details.iter().map(Detail::to_string).collect();
                format!("[{}]", list.join(","))
            }
            Self::NotSentAsJson { detail, .. } => {
                return format!(r#"{{"detail":[{detail}],"hint":{}}}"#, Quoted(&self.to_string()));
            }
            Self::Unreadable { line } => {
                Quoted(&at_line(*line, "There was an error parsing the body")).to_string()
            }
            Self::MessageTooLong { line, .. } | Self::TooManyValues { line } => {
                Quoted(&at_line(*line, &self.to_string())).to_string()
            }
            Self::BatchTooLong { .. } => Quoted(&self.to_string()).to_string(),
        };
        format!(r#"{{"detail":{detail}}}"#)
    }
}

impl From<Detail> for PayloadRefusal {
    fn from(detail: Detail) -> Self {
        Self::Invalid(vec![detail])
    }
}

/// One thing that is wrong: an entry of the list that FastAPI answers with.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    problem: Problem,
    line: Option<usize>,
    place: ErrorLocation,
    /// What is wrong, as JSON, not longer than it may be.
    input: String,
}

#[derive(Debug, Clone, PartialEq)]
enum ErrorLocation {
    Body,
    Field(Cow<'static, str>),
    /// Of a list, counted from 0.
    Item(Cow<'static, str>, usize),
    /// In characters from the start of the body, or of the line in a batch.
    Offset(usize),
}

/// What is wrong; each is one of pydantic's error types.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    Missing,
    NotAnObject,
    NotAString,
    NotAList,
    NotABoolean,
    NotUnicode,
    /// What Python's decoder says.
    Syntax(&'static str),
    /// What the rule that a field breaks says.
    Rule(String),
    /// A field that nobody knows, and which it was most likely meant to be.
    NearMiss(&'static str),
}

impl Detail {
    pub(crate) fn of_body(problem: Problem, input: &Value) -> Self {
        Self { problem, line: None, place: ErrorLocation::Body, input: input.echo(MAX_ECHO) }
    }

    pub(crate) fn of_field(
        field: impl Into<Cow<'static, str>>,
        problem: Problem,
        input: &Value,
    ) -> Self {
        let place = ErrorLocation::Field(field.into());
        Self { problem, line: None, place, input: input.echo(MAX_ECHO) }
    }

    pub(crate) fn of_syntax(error: &'static str, offset: usize) -> Self {
        let (problem, place) = (Problem::Syntax(error), ErrorLocation::Offset(offset));
        Self { problem, line: None, place, input: "{}".to_owned() }
    }

    /// The same of one item of a field that is a list.
    pub(crate) fn of_item(self, item: usize) -> Self {
        let place = match self.place {
            ErrorLocation::Field(field) => ErrorLocation::Item(field, item),
            other => other,
        };
        Self { place, ..self }
    }

    pub(crate) fn on_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }
}

impl Problem {
    fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotAnObject => "model_attributes_type",
            Self::NotAString => "string_type",
            Self::NotAList => "list_type",
            Self::NotABoolean => "bool_type",
            Self::NotUnicode => "string_unicode",
            Self::Syntax(_) => "json_invalid",
            Self::Rule(_) => "value_error",
            Self::NearMiss(_) => "extra_forbidden",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Field required",
            Self::NotAnObject => {
                "Input should be a valid dictionary or object to extract fields from"
            }
            Self::NotAString => "Input should be a valid string",
            Self::NotAList => "Input should be a valid list",
            Self::NotABoolean => "Input should be a valid boolean",
            Self::NotUnicode => {
                "Input should be a valid string, unable to parse raw data as a unicode string"
            }
            Self::Syntax(_) => "JSON decode error",
            Self::Rule(rule) => return write!(f, "Value error, {rule}"),
            Self::NearMiss(meant) => {
                return write!(f, "Extra inputs are not permitted: did you mean '{meant}'?");
            }
        })
    }
}

/// The entry as JSON, its members in pydantic's order.
impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"type":"{}","loc":["body""#, self.problem.kind())?;
        if let Some(line) = self.line {
            write!(f, ",{line}")?;
        }
        match &self.place {
            ErrorLocation::Body => {}
            ErrorLocation::Field(field) => write!(f, ",{}", Quoted(field))?,
            ErrorLocation::Item(field, item) => write!(f, ",{},{item}", Quoted(field))?,
            ErrorLocation::Offset(offset) => write!(f, ",{offset}")?,
        }
        let message = at_line(self.line, &self.problem.to_string());
        write!(f, r#"],"msg":{},"input":{}"#, Quoted(&message), self.input)?;
        match &self.problem {
            Problem::Syntax(error) => write!(f, r#","ctx":{{"error":{}}}"#, Quoted(error))?,
            // pydantic puts the exception here, which FastAPI writes as an object without members.
            Problem::Rule(_) => f.write_str(r#","ctx":{"error":{}}"#)?,
            _ => {}
        }
        f.write_char('}')
    }
}

/// How a body is sent so that it is read.
fn content_type_hint(given: Option<&str>) -> String {
    let found = match given {
        None => "the request has no Content-Type".to_owned(),
        Some(given) => {
            format!("the request's Content-Type is {}", shorten(given, MAX_CONTENT_TYPE))
        }
    };
    format!("{found}; send the header Content-Type: application/json")
}

fn at_line(line: Option<usize>, message: &str) -> String {
    line.map_or_else(|| message.to_owned(), |line| format!("Line {line}: {message}"))
}
