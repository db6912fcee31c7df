//! A direction of a connection: with what its next record is sealed.

use super::TrafficSecret;

/// One direction of a connection.
#[derive(Debug)]
pub struct Direction {
    /// Its traffic secret.
    pub secret: TrafficSecret,
    /// The number of the next record.
    pub next: u64,
}
