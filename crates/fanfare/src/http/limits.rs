//! Limits: what one connection may ask of the hub before anything of it is understood.

use std::time::Duration;

use super::roster::Bounds;
use crate::open_files;
use crate::settings::Settings;

/// What holds for every connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest head of a request, in bytes.
    pub(crate) head: usize,
    /// The longest target of a request, in bytes.
    pub(crate) target: usize,
    /// How long a request's body may take.
    pub(crate) body_timeout: Duration,
    /// The most bytes of bodies in memory at once, and of large answers.
    pub(crate) bodies: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub(crate) http2_requests: u32,
    /// For how long browsers are told to use nothing but HTTPS with this host.
    pub(crate) hsts: Duration,
    /// What all connections together may be.
    pub(crate) bounds: Bounds,
}

impl Limits {
    /// As `settings` say, in a process that may have `open_files` descriptors.
    pub(crate) fn new(settings: &Settings, open_files: u64) -> Self {
        let connections =
            settings.max_connections.unwrap_or_else(|| open_files::connections(open_files));
        Self {
            head: settings.max_head.in_memory(),
            target: settings.max_target.in_memory(),
            body_timeout: settings.body_timeout,
            bodies: settings.max_bodies.in_memory(),
            http2_requests: u32::try_from(settings.max_http2_requests).unwrap_or(u32::MAX),
            hsts: settings.hsts,
            bounds: Bounds {
                connections,
                half_open: settings.max_half_open.unwrap_or(connections.div_ceil(2)),
                idle: settings.max_idle,
                unread: settings.max_requests,
                head_timeout: settings.head_timeout,
                idle_timeout: settings.idle_timeout,
                write_timeout: settings.write_timeout,
            },
        }
    }
}
