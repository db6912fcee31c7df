//! The checks, by area. A check is a function of the hub under test; what it needs beside says so.

mod cors;
mod errors;
mod first_byte;
mod framing;
mod headers;
mod heartbeat;
mod http1;
mod ids;
mod limits;
mod replay;
mod shutdown;
mod slow;

use crate::check::Check;

/// Every area's checks, in the order they are run.
pub(crate) const AREAS: [&[Check]; 12] = [
    framing::CHECKS,
    ids::CHECKS,
    replay::CHECKS,
    first_byte::CHECKS,
    heartbeat::CHECKS,
    http1::CHECKS,
    headers::CHECKS,
    cors::CHECKS,
    errors::CHECKS,
    limits::CHECKS,
    slow::CHECKS,
    shutdown::CHECKS,
];
