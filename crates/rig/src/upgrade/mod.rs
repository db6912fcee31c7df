//! Upgrades under faults: the real hub hands its streams to a new process again and again, and at a random
//! step of that something dies, hangs, has too little, or talks nonsense.
//!
//! The hub is started with `--binary` naming a go-between, which is the new process until it has given the
//! rig both ends of a channel. Then it becomes the real program, and the rig passes on what the two say
//! ([`relay`]), message by message, and does to either what the fault is, when it hears what it waits for. So
//! every step can be hit, and the hub has no code for it.
//!
//! What must hold: nothing here uses the hub's crates. Of the messages it knows the first five bytes. What is
//! to come of an upgrade follows from what was said before the fault ([`relay::RelayLog::due`]), and from nothing
//! that the hub reports.

mod attempt;
pub mod fault;
pub mod node;
pub mod relay;
pub mod round;
pub mod sequence_readers;
pub mod side;
pub mod step;

/// The variable that names the socket where the rig hears of a new process.
pub const RIG: &str = "RIG_SOCKET";
/// The variable that names the program that the go-between becomes.
pub const PROGRAM: &str = "RIG_PROGRAM";
