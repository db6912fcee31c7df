//! A shard's thread: polls, reads the clocks, turns the shard.

use std::io;

use mio::{Events, Poll};

use crate::now::Now;
use crate::ready::Ready;
use crate::shard::{NEWS, Shard};

/// How many readiness events one turn takes.
const EVENTS: usize = 1024;

/// Runs a shard until a drain is complete. `poll` is what its sockets report to.
pub(crate) fn run(mut shard: Shard, mut poll: Poll) {
    let mut events = Events::with_capacity(EVENTS);
    loop {
        if let Err(error) = poll.poll(&mut events, shard.poll_timeout(Now::read()))
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "a shard's poller failed");
        }
        let ready = events.iter().filter(|event| event.token() != NEWS).map(Ready::from);
        if shard.turn(Now::read(), ready) {
            return;
        }
    }
}
