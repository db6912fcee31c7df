//! Which connections can move: to a process that seals, or to one that does not.

/// Which connections can be gone on with where they are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movable {
    /// Those in clear text alone.
    ClearText,
    /// Those over TLS as well.
    Secured,
}
