//! What a poller says of a socket.

use crate::subscriber_key::SubscriberKey;

/// A subscriber's socket can be read from, or written to. To be told of more than is so does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Whose it is.
    pub key: SubscriberKey,
    /// There is something to read, an end or an error included.
    pub readable: bool,
    /// There is room again.
    pub writable: bool,
}

impl From<&mio::event::Event> for Ready {
    fn from(event: &mio::event::Event) -> Self {
        Self {
            key: SubscriberKey::from_token(event.token()),
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable(),
        }
    }
}
