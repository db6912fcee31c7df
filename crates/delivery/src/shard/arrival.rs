//! An arrival: how a subscriber that has been granted its stream joins a shard.

use std::sync::Arc;
use std::time::Instant;

use fanfare_event::Position;
use fanfare_hub::{Envelope, fresh_cursor};
use fanfare_log::ReadFrom;
use fanfare_sse::opening;
use mio::{Interest as Readiness, Token};

use super::Shard;
use super::token::generation;
use crate::counters::CloseReason;
use crate::delivery::NewSubscriber;
use crate::inbox::Command;
use crate::sink::Sink;
use crate::subscriber::Subscriber;

impl Shard {
    /// Begins a stream: what comes before the first frame, then whatever the ring has for it.
    pub(super) fn join(&mut self, mut new: NewSubscriber, now: Instant) {
        let token = self.roster.vacancy();
        match &mut new.sink {
            Sink::Socket(socket) => {
                if let Err(error) =
                    self.poll.registry().register(socket, token, Readiness::READABLE)
                {
                    tracing::warn!(%error, "a subscriber's socket could not be watched");
                    self.totals.closed[CloseReason::ConnectionError.index()] += 1;
                    return;
                }
            }
            Sink::Body(body) => {
                let handle = Arc::clone(&self.handle);
                body.on_signal(Arc::new(move |signal| {
                    handle.send(Command::Signal(token, signal));
                }));
            }
            #[cfg(test)]
            Sink::Script(script) => script.name(token),
        }
        let mut beginning = new.head.to_vec();
        beginning.extend_from_slice(new.framing.slice(&opening(self.retry.pick())));
        if let Some(gap) = &new.start.gap {
            beginning.extend_from_slice(new.framing.slice(&gap.encode()));
            self.totals.gaps[gap.reason.index()] += 1;
        }
        let mut refreshed = match new.start.from {
            _ if new.start.gap.is_some() => Some(self.ring.end()),
            ReadFrom::After(position) if new.has_id => {
                Some(self.ring.offset_after(position).unwrap_or(0))
            }
            _ => None,
        };
        // Whoever opens a sealed envelope keeps ids, and need not wait for a heartbeat to have one.
        if let (None, Envelope::Sealed, ReadFrom::After(position)) =
            (refreshed, new.envelope, new.start.from)
            && position > Position::ORIGIN
        {
            beginning.extend_from_slice(new.framing.slice(&fresh_cursor(position)));
            self.totals.fresh_cursors += 1;
            refreshed = Some(self.ring.offset_after(position).unwrap_or(0));
        }
        let subscriber = Subscriber::new(new, beginning.into(), refreshed, generation(token), now);
        self.roster.insert(token, subscriber);
        match self.admit(token) {
            None => self.turn(token, now),
            Some(reason) => self.dismiss(token, None, reason, now),
        }
    }

    /// Notes when a subscriber's lease ends; why it may not stay, if its subject has been cut
    /// meanwhile.
    fn admit(&mut self, token: Token) -> Option<CloseReason> {
        let lease = self.roster.get(token)?.lease.as_deref()?;
        if let Some(at) = lease.expires {
            self.expiries.insert(token, at);
        }
        lease.names().find_map(|name| self.cuts.hit(name, lease.verified))
    }
}
