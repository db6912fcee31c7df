//! An upgrade: the running hub hands its sockets and its state to a new process, and ends.
//!
//! | the old process | the new process |
//! |---|---|
//! | starts it: [`successor`] | meets the old one, reads the settings: [`predecessor`] |
//! | lets no request in any more, and takes its streams out of their shards: [`pause`] | waits |
//! | writes streams and state down, and sends them: [`standstill`] | makes them a hub, and writes nothing to a socket |
//! | sends `Commit` | answers `Committed`, and from that moment on is the hub |
//! | closes what could not move, and ends | lets everyone in |
//!
//! What must hold:
//!
//! - *One commitment*: the message `Committed` of the new process. It is sent before anything is done that others could
//!   see, so if one of the two dies, the other knows: without that message, the old process goes on with everything it
//!   had; with it, the new one. The old process shuts the channel before it gives up, so that it cannot be sent later.
//! - *Before it, an upgrade costs a stream nothing but a pause*, and every wait has a deadline.

mod deadlines;
mod format;
mod handing_over;
mod pause;
mod predecessor;
mod progress;
mod received_state;
mod secrets;
mod sections;
mod standstill;
mod successor;
mod taking_over;
mod upgrade_error;
mod upgraded;

pub(crate) use self::handing_over::Handover;
pub(crate) use self::predecessor::Predecessor;
pub use self::predecessor::TakeoverError;
pub(crate) use self::received_state::ReceivedState;
pub use self::received_state::ReceivedStateError;
pub(crate) use self::taking_over::PreparedTakeover;
