//! An arrival: how a subscriber joins a shard, with a new stream or with one that goes on; and how it
//! is taken out of it again, with its stream going on elsewhere.

use fanfare_event::Position;
use fanfare_log::ReadFrom;

use super::Shard;
use crate::address_group::AddressGroup;
use crate::connection::Connection;
use crate::counters::CloseReason;
use crate::inbox::ShardCommand;
use crate::movable::Movable;
use crate::now::Now;
use crate::sink::Sink;
use crate::subscriber::Subscriber;
use crate::subscriber_key::SubscriberKey;
use crate::subscription::{Detached, NewSubscriber, Subscription};

impl Shard {
    /// Begins a stream: what comes before the first event, then whatever the ring has for it.
    pub(super) fn join(&mut self, new: NewSubscriber, now: Now) {
        let NewSubscriber {
            sink,
            wire,
            head,
            interest,
            cadence,
            start,
            has_id,
            address,
            seat,
            lease,
        } = new;
        let position = match start.from {
            ReadFrom::After(position) => Some(position),
            ReadFrom::Earliest => None,
        };
        let cursor = position.filter(|position| {
            let has_none = !has_id && start.gap.is_none();
            has_none && wire.format().begins_with_cursor() && *position > Position::ORIGIN
        });
        let held_id = if let Some(gap) = &start.gap {
            self.totals.gaps[gap.reason.index()] += 1;
            Some(self.ring.position_before(self.ring.end()))
        } else if has_id {
            position
        } else {
            self.totals.fresh_cursors += u64::from(cursor.is_some());
            cursor
        };
        let retry = self.retry.pick();
        let verified = lease.as_ref().map(|lease| lease.verified);
        let (grant, seats) = lease.map(|lease| lease.split(now)).unzip();
        let subscription = Subscription {
            interest,
            wire,
            rest: vec![wire.beginning(&head, retry, start.gap.as_ref(), cursor)],
            cursor: start.from,
            held_id,
            cadence,
            joined: now.wall,
            address_group: AddressGroup::of(address),
            grant,
            closing: None,
        };
        let seats = seats.unwrap_or_default();
        self.enter(Detached { subscription, connection: sink, seat, seats, verified }, now);
    }

    /// Goes on with a stream.
    pub(super) fn attach(&mut self, detached: Detached, now: Now) {
        let Detached { subscription, connection, seat, seats, verified } = detached;
        let connection = connection.into_sink();
        self.enter(Detached { subscription, connection, seat, seats, verified }, now);
    }

    fn enter(&mut self, mut detached: Detached<Sink>, now: Now) {
        let key = self.table.next_key();
        let handle = std::sync::Arc::clone(&self.handle);
        let tell = move |signal| handle.send(ShardCommand::Signal(key, signal));
        if let Err(error) = detached.connection.register(&self.registry, key, tell) {
            tracing::warn!(%error, "a subscriber's socket could not be watched");
            self.totals.closed[CloseReason::ConnectionError.index()] += 1;
            return;
        }
        let generation = key.generation();
        let subscriber = Subscriber::attach(detached, generation, &self.ring, now, &self.limits);
        self.handle.wanted().enter(&subscriber.interest);
        self.has_newcomers = true;
        self.table.insert(key, subscriber);
        match self.admit(key) {
            None => self.serve(key, now),
            Some(reason) => self.close(key, reason, now),
        }
    }

    /// Notes when a subscriber has to go; why it may not stay, if its subject has been cut meanwhile.
    fn admit(&mut self, key: SubscriberKey) -> Option<CloseReason> {
        let subscriber = self.table.get(key)?;
        if let Some(at) = self.end_of(subscriber) {
            self.expiries.insert(key, at);
        }
        let lease = subscriber.lease.as_deref()?;
        if subscriber.is_closing() {
            return None;
        }
        lease.names().find_map(|name| self.cuts.hit(name, lease.verified))
    }

    /// Takes out at most so many of those whose connections can go on elsewhere.
    pub(super) fn detach(&mut self, limit: usize, movable: Movable, now: Now) -> Vec<Detached> {
        let can_move = |subscriber: &Subscriber| subscriber.sink.can_move(movable);
        let can_move = self.table.iter().filter(|(_, subscriber)| can_move(subscriber));
        let keys: Vec<_> = can_move.map(|(key, _)| key).take(limit).collect();
        let taken = keys.into_iter().filter_map(|key| self.take_out(key));
        let taken: Vec<_> = taken.collect();
        let detached = taken.into_iter().filter_map(|mut subscriber| {
            if let Err(error) = subscriber.sink.deregister(&self.registry) {
                tracing::warn!(%error, "a subscriber's socket could not be given away");
                self.totals.closed[CloseReason::ConnectionError.index()] += 1;
                return None;
            }
            let detached = subscriber.detach(self.position, &self.ring, now);
            let Detached { subscription, connection, seat, seats, verified } = detached;
            // It can move.
            let connection = Connection::of(connection)?;
            Some(Detached { subscription, connection, seat, seats, verified })
        });
        detached.collect()
    }

    /// Removes a subscriber, whatever is to become of it.
    pub(super) fn take_out(&mut self, key: SubscriberKey) -> Option<Subscriber> {
        let subscriber = self.table.remove(key)?;
        self.handle.wanted().leave(&subscriber.interest);
        if let Some(at) = self.end_of(&subscriber) {
            self.expiries.remove(key, at);
        }
        Some(subscriber)
    }
}
