//! What both processes of an upgrade have to know beside the messages that they exchange (`fanfare_handover`).

/// The first format in which events of a log in memory are written ahead, while everyone is served.
pub(super) const WITH_LOG_AHEAD: u16 = 2;

/// By which the new process knows that it is one: the process id of the old one.
pub(super) const VARIABLE: &str = "FANFARE_SUCCEEDS";
