//! An upgrade: the running hub hands its sockets and its state to a new process, and ends.
//!
//! | the old process | the new process |
//! |---|---|
//! | starts it: [`successor`] | meets the old one, reads the settings: [`predecessor`] |
//! | lets nobody act any more, and takes its streams out of their shards: [`pause`] | waits |
//! | writes streams and state down, and sends them | makes them a hub again, and writes nothing to any socket |
//! | commits | says that it has heard it, and from that moment on is the hub |
//! | says its farewells to whoever could not move, and ends | lets everyone in |
//!
//! What must hold:
//!
//! - *One commitment*: the word that the new process has committed. It is said before anything is done that
//!   others could see, so whoever of the two dies, the other knows: without that word, the old process goes on
//!   with everything it had; with it, the new one.
//! - *Nothing before it costs a stream anything but a pause*, and every wait has a deadline.

mod cargo;
mod handing_over;
mod pause;
mod predecessor;
mod secrets;
mod successor;
mod taking_over;

use std::time::Duration;

pub(crate) use self::cargo::Inheritance;
pub(crate) use self::handing_over::Handover;
use self::pause::Pause;
pub(crate) use self::predecessor::Predecessor;
pub use self::predecessor::TakeoverError;
use self::successor::{Successor, UpgradeError};
pub(crate) use self::taking_over::Successions;

/// How long the new process may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);
/// How long it may take to read its settings and certificates. Everyone is served meanwhile.
const READY: Duration = Duration::from_secs(30);
/// How long requests may take that were being answered when no new ones were let in.
const SETTLE: Duration = Duration::from_millis(100);
/// How long the answers to requests may take that were inside until then.
const ANSWERED: Duration = Duration::from_millis(10);
/// How many bytes that streams were sent and have not taken may go along, in all: they are shared here, and each stream has
/// a copy on the way and in the new process.
const UNSENT: usize = 64 << 20;
/// How long it may take until nobody acts on the hub any more.
const QUIET: Duration = Duration::from_secs(2);
/// How long the log may take to write and sync what was handed in.
const FREEZE: Duration = Duration::from_secs(2);
/// How long one message may take, while everyone waits.
const STEP: Duration = Duration::from_secs(5);
/// How long the new process waits for the old one's next word. Above all that the old one may wait for.
const NEXT_WORD: Duration = Duration::from_secs(60);

/// The first format in which events of a log in memory are written ahead, while everyone is served.
const WITH_LOG_AHEAD: u16 = 2;

/// By which the new process knows that it is one: the process id of the old one.
const VARIABLE: &str = "FANFARE_SUCCEEDS";
