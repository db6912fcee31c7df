//! A vocabulary: what a subscription that was written down calls by name, and only the layers above know.

use fanfare_event::Pattern;

use crate::stream_format::StreamFormat;

/// What names mean in this process.
pub trait Vocabulary {
    /// The format of this name, as [`StreamFormat::name`] has it.
    fn format(&self, name: &str) -> Option<&'static dyn StreamFormat>;

    /// The pattern of an expression, as [`Expression::as_str`](fanfare_event::Expression::as_str) has it.
    fn expression(&self, text: &str) -> Option<Pattern>;
}
