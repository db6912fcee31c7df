//! Where a subscriber resumes: what a client asks for, and what that comes to.

use fanfare_event::{EventId, Position};
use fanfare_log::ReadFrom;

use crate::Gap;

/// What a client asks for by `Last-Event-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// Nothing: what is published from now on.
    Live,
    /// `earliest`: everything retained.
    Earliest,
    /// Everything after this event.
    After(Position),
    /// Everything after the first event that its publisher gave this id. [`Hub::locate`](crate::Hub::locate)
    /// makes a position of it; what is left is unknown.
    AfterId(EventId),
    /// Something that is not an event id.
    Unreadable(String),
    /// An id, but none that an event of this log can have: everything retained, behind a gap.
    Unknown(String),
}

/// Where a subscriber begins to read, after the gap it must be told of, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Comes before anything else.
    pub gap: Option<Gap>,
    /// Where reading begins.
    pub from: ReadFrom,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The subscriber can begin.
    Ready(Start),
    /// The client is ahead of this node, which may be behind its engine: worth waiting a moment
    /// and asking again. This is what it comes to if the wait is in vain.
    Ahead(Start),
}

impl Requested {
    /// Reads a `Last-Event-ID`. Absent and empty are the same.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some("") => Self::Live,
            Some("earliest") => Self::Earliest,
            Some(id) => id.parse().map_or_else(|_| Self::Unreadable(id.to_owned()), Self::After),
        }
    }
}

impl Resolution {
    /// The start, however it came about.
    pub fn into_start(self) -> Start {
        match self {
            Self::Ready(start) | Self::Ahead(start) => start,
        }
    }
}
