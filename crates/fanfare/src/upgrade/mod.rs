//! An upgrade: the running hub hands its sockets and its state to a new process, and ends.
//!
//! | the old process | the new process |
//! |---|---|
//! | starts it: [`successor`] | meets the old one, reads the settings: [`predecessor`] |
//! | lets nobody act any more, and takes its streams out of their shards: [`pause`] | waits |
//! | writes streams and state down, and sends them | makes them a hub again, and writes nothing to any socket |
//! | commits | says that it has heard it, and from that moment on is the hub |
//! | closes what could not move, and ends | lets everyone in |
//!
//! What must hold:
//!
//! - *One commitment*: the word that the new process has committed. It is said before anything is done that
//!   others could see, so whoever of the two dies, the other knows: without that word, the old process goes on
//!   with everything it had; with it, the new one.
//! - *Nothing before it costs a stream anything but a pause*, and every wait has a deadline.

mod agreement;
mod deadlines;
mod handing_over;
mod pause;
mod predecessor;
mod received_state_error;
mod secrets;
mod state_file;
mod successor;
mod taking_over;
mod upgrade_error;

pub(crate) use self::handing_over::Handover;
pub(crate) use self::predecessor::Predecessor;
pub use self::predecessor::TakeoverError;
pub(crate) use self::state_file::ReceivedState;
pub(crate) use self::taking_over::PreparedTakeover;
