//! TLS: streams whose records a shard seals itself, once the handshake and the request are over.
//!
//! Another layer makes the handshake. What it leaves is a [`TlsState`]: for each direction a traffic
//! secret (RFC 8446, 7) and the number of the next record. It is a plain value, so that a stream can
//! go on in another shard or process; there it becomes a [`TlsSocket`] again. Meanwhile nothing seals: there is no
//! sealer until whoever goes on with the stream makes one of the state (`crate::connection`).
//!
//! What must hold, and why it does:
//!
//! - *No nonce twice.* A nonce is the secret's IV and the record's number (RFC 8446, 5.3). One
//!   `Sealer` alone holds a direction's secret and its number, takes a number by `&mut self`, and counts
//!   it as used before anything is sealed with it, whatever comes of that. Neither it nor a
//!   [`TlsState`] can be cloned: whoever goes on with a stream has taken it from whoever had it. Written down for
//!   another process, a state is there twice, and becomes a sealer once: here, if the other process is dead and has not
//!   committed; there, once it has (decision 31).
//! - *No record sealed twice.* Of a record that a socket takes in part, the rest of the sealed bytes
//!   is kept, and nothing else is sealed before it has gone: at most one record, at most
//!   `MAX_RECORD` bytes. What was accepted is never offered again, so no content is under two numbers
//!   either.
//! - *No secret for too long.* After `KEY_LIMIT` records, half of what RFC 8446 (5.5) allows AES-GCM,
//!   a `KeyUpdate` goes out and the next secret takes over, counting from 0. A peer that asks for one
//!   gets it before the next content (4.6.3); its own are followed, up to `PEER_UPDATES`.
//! - *Nothing is believed unopened.* What comes in is opened and then, as on a stream in clear text,
//!   has no meaning but for its end. A record that cannot be opened, an alert or any other handshake
//!   message ends the connection, with the alert that the standard has for it where the peer can
//!   still read one.
//! - *The end is said.* A stream that the hub ends has `close_notify` after its last chunk; one whose
//!   client says `close_notify` is ended in good order.
//! - *No secret is left behind.* Secrets, IVs and keys are overwritten when they are dropped.

mod cipher_suite;
mod direction;
mod opener;
mod record;
mod sealer;
mod socket;
mod state_record;
#[cfg(test)]
mod tests;
mod traffic_secret;

pub use cipher_suite::CipherSuite;
pub use direction::Direction;
pub use socket::{TlsSocket, TlsState};
pub use traffic_secret::TrafficSecret;

/// After how many records a direction that we seal gets its next secret; tests say fewer.
pub const KEY_LIMIT: u64 = 1 << 23;
/// The highest number that a record can have, of either side: far beyond what any suite allows of one secret, and far
/// from where counting would wrap.
const MAX_NUMBER: u64 = 1 << 48;
/// How often a peer may change its key on a stream: no client has a reason to, and following costs
/// more than asking.
const PEER_UPDATES: u32 = 64;
