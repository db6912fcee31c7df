//! Limits: what one connection may ask of the hub before anything of it is understood.

use std::time::Duration;

use super::table::TableLimits;

/// What holds for every connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The longest head of a request, in bytes.
    pub head: usize,
    /// The longest target of a request, in bytes.
    pub target: usize,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// The most bytes of bodies in memory at once, and of large answers.
    pub bodies: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub http2_requests: u32,
    /// For how long browsers are told to use nothing but HTTPS with this host.
    pub hsts: Duration,
    /// What all connections together may be.
    pub bounds: TableLimits,
}
