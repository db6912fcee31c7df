//! What a publisher sends: the body of `POST /sse/send`, decoded and checked, or refused in the
//! shapes FastAPI answers with.
//!
//! What must hold: a caller who knows only the guide's server cannot tell the two apart, down to
//! the character offset of a JSON error, unless it sends a field that it has nearly spelled as one of
//! ours. Well-formed bodies take one pass of serde_json; only what
//! that refuses is read again by a decoder with Python's rules, which also finds the words for the
//! refusal, and reads `json`. The first never accepts what the second would refuse or read differently. No body
//! panics, overflows the stack or allocates more than a multiple of its own size. No I/O.

mod content_type;
mod draft;
mod fast;
mod fields;
mod json;
mod near_miss;
mod refusal;
mod submission;
mod value;

pub use fields::FIELDS;
pub use json::{MAX_DEPTH, MAX_INTEGER_DIGITS, MAX_VALUES};
pub use near_miss::near_miss;
pub use refusal::{Detail, MAX_DETAILS, MAX_ECHO, PayloadRefusal};
pub use submission::{
    Submission, SubmissionKind, SubmissionLimits, decode, decode_line, is_json_lines,
};
pub use value::shorten;
