//! A mark on answers whose body is shared by all who are sent it.

/// Says that a response's body costs no memory of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedBody;
