//! The checks, by area. A check is a function of the hub under test; what it needs beside says so.

mod cors;
mod errors;
mod first_byte;
mod framing;
mod headers;
mod heartbeat;
mod http_answers;
mod http_requests;
mod ids;
mod limits;
mod replay;
mod shutdown;
mod slow;

use crate::check::Check;

/// Every area's checks, in the order they are run.
pub(crate) const AREAS: [&[Check]; 13] = [
    framing::CHECKS,
    ids::CHECKS,
    replay::CHECKS,
    first_byte::CHECKS,
    heartbeat::CHECKS,
    http_answers::CHECKS,
    http_requests::CHECKS,
    headers::CHECKS,
    cors::CHECKS,
    errors::CHECKS,
    limits::CHECKS,
    slow::CHECKS,
    shutdown::CHECKS,
];
