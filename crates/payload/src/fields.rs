//! The fields of a publish, by name.

/// The fields that a publish may have.
pub const FIELDS: [&str; 7] = ["message", "json", "topic", "topics", "event", "private", "id"];
