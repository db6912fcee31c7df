//! A submission: the drafts one request hands in.

use fanfare_event::Draft;

use crate::content_type::BodyFormat;
use crate::draft::{InvalidDraft, read_draft};
use crate::refusal::{Detail, MAX_DETAILS, PayloadRefusal, Problem};
use crate::value::{Text, Value};

/// What one request publishes: all of it or, when it is refused, nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The events, in the order they were written; at least one, exactly one for
    /// [`SubmissionKind::Single`].
    pub drafts: Vec<Draft>,
    /// Which answer the publisher expects.
    pub kind: SubmissionKind,
}

/// How a submission was written, which decides how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmissionKind {
    /// One JSON object, answered with one id.
    Single,
    /// JSON Lines, answered with a list of ids, even of one.
    Batch,
}

/// How much one request may publish. The size of the body as a whole is limited where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionLimits {
    /// The longest message, in bytes of UTF-8.
    pub message_bytes: usize,
    /// The most events in one batch.
    pub batch_events: usize,
}

/// The byte order mark that some editors and clients write before UTF-8.
const BOM: char = '\u{feff}';

/// What JSON calls whitespace (RFC 8259, 2).
const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Decodes and checks a request's body. `content_type` is the header's value, `None` when there is
/// none.
///
/// A byte order mark is passed over. UTF-16 and UTF-32, which Python's decoder guesses at, are
/// not: JSON on the network is UTF-8 (RFC 8259, 8.1).
///
/// # Errors
///
/// The [`PayloadRefusal`] carries the status and the body to answer with.
pub fn decode(
    content_type: Option<&str>,
    body: &[u8],
    limits: &SubmissionLimits,
) -> Result<Submission, PayloadRefusal> {
    if body.is_empty() {
        return Err(missing_body());
    }
    match BodyFormat::parse(content_type) {
        BodyFormat::Json => single(without_bom(readable(body)?), limits),
        BodyFormat::JsonLines => match std::str::from_utf8(body) {
            Ok(text) => batch(without_bom(text), limits),
            Err(error) => {
                let before = &body[..error.valid_up_to()];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                Err(PayloadRefusal::Unreadable { line: Some(line) })
            }
        },
        BodyFormat::Other => {
            let input = Value::Text(Text::from(readable(body)?));
            Err(PayloadRefusal::NotSentAsJson {
                detail: Box::new(Detail::of_body(Problem::NotAnObject, &input)),
                content_type: content_type.map(str::to_owned),
            })
        }
    }
}

/// Whether a `Content-Type` says that a body is JSON Lines.
pub fn is_json_lines(content_type: Option<&str>) -> bool {
    BodyFormat::parse(content_type) == BodyFormat::JsonLines
}

/// Decodes and checks one line of JSON Lines, without its LF, whose number counts from 1; `None` where it
/// is blank. It is read as [`decode`] reads a line of a batch, but that what is wrong with it is wrong with
/// no other.
///
/// # Errors
///
/// The [`PayloadRefusal`] carries the status and the body that a batch of this line alone would be answered with.
pub fn decode_line(
    line: &[u8],
    number: usize,
    message_bytes: usize,
) -> Result<Option<Draft>, PayloadRefusal> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(PayloadRefusal::Unreadable { line: Some(number) });
    };
    let text = if number == 1 { without_bom(text) } else { text };
    if is_blank(text) {
        return Ok(None);
    }
    match read_draft(text, message_bytes) {
        Ok(draft) => Ok(Some(draft)),
        Err(InvalidDraft::Invalid(mut details)) => {
            details.truncate(MAX_DETAILS);
            Err(PayloadRefusal::Invalid(details.into_iter().map(|it| it.on_line(number)).collect()))
        }
        Err(InvalidDraft::Unreadable) => Err(PayloadRefusal::Unreadable { line: Some(number) }),
        Err(InvalidDraft::TooManyValues) => {
            Err(PayloadRefusal::TooManyValues { line: Some(number) })
        }
        Err(InvalidDraft::MessageTooLong(bytes)) => {
            Err(PayloadRefusal::MessageTooLong { line: Some(number), bytes, limit: message_bytes })
        }
    }
}

fn single(text: &str, limits: &SubmissionLimits) -> Result<Submission, PayloadRefusal> {
    match read_draft(text, limits.message_bytes) {
        Ok(draft) => Ok(Submission { drafts: vec![draft], kind: SubmissionKind::Single }),
        Err(InvalidDraft::Invalid(details)) => Err(PayloadRefusal::Invalid(details)),
        Err(InvalidDraft::Unreadable) => Err(PayloadRefusal::Unreadable { line: None }),
        Err(InvalidDraft::TooManyValues) => Err(PayloadRefusal::TooManyValues { line: None }),
        Err(InvalidDraft::MessageTooLong(bytes)) => {
            Err(PayloadRefusal::MessageTooLong { line: None, bytes, limit: limits.message_bytes })
        }
    }
}

/// Reads every line, so that one answer names all that is wrong, up to [`MAX_DETAILS`].
fn batch(text: &str, limits: &SubmissionLimits) -> Result<Submission, PayloadRefusal> {
    let events = events(text).count();
    if events == 0 {
        return Err(missing_body());
    }
    if events > limits.batch_events {
        return Err(PayloadRefusal::BatchTooLong { events, limit: limits.batch_events });
    }
    let mut drafts = Vec::with_capacity(events);
    let mut wrong = Vec::new();
    for (line, object) in self::events(text) {
        match read_draft(object, limits.message_bytes) {
            Ok(draft) => drafts.push(draft),
            Err(InvalidDraft::Invalid(details)) => {
                wrong.extend(details.into_iter().map(|detail| detail.on_line(line)));
                if wrong.len() >= MAX_DETAILS {
                    wrong.truncate(MAX_DETAILS);
                    break;
                }
            }
            Err(InvalidDraft::Unreadable) => {
                return Err(PayloadRefusal::Unreadable { line: Some(line) });
            }
            Err(InvalidDraft::TooManyValues) => {
                return Err(PayloadRefusal::TooManyValues { line: Some(line) });
            }
            Err(InvalidDraft::MessageTooLong(bytes)) => {
                let limit = limits.message_bytes;
                return Err(PayloadRefusal::MessageTooLong { line: Some(line), bytes, limit });
            }
        }
    }
    if wrong.is_empty() {
        Ok(Submission { drafts, kind: SubmissionKind::Batch })
    } else {
        Err(PayloadRefusal::Invalid(wrong))
    }
}

/// The lines that are not blank, each with its number, counted from 1. A CR before the LF is
/// whitespace to JSON.
fn events(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.split('\n')).filter(|(_, line)| !is_blank(line))
}

fn is_blank(line: &str) -> bool {
    line.trim_matches(WHITESPACE).is_empty()
}

fn readable(body: &[u8]) -> Result<&str, PayloadRefusal> {
    std::str::from_utf8(body).map_err(|_| PayloadRefusal::Unreadable { line: None })
}

fn without_bom(text: &str) -> &str {
    text.strip_prefix(BOM).unwrap_or(text)
}

fn missing_body() -> PayloadRefusal {
    Detail::of_body(Problem::Missing, &Value::Null).into()
}
