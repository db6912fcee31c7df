//! The roster: every connection that carries requests, and who leaves when there are too many.
//!
//! A connection is *half-open* until the head of its first request is whole (handshake included),
//! *busy* while a request is being answered, *idle* between two. A socket that was taken over for
//! a stream is no longer on the roster; it counts among the sockets of [`Seats`].
//!
//! What must hold:
//!
//! - *Bounded*: never more connections of a kind than [`Bounds`] allow, none half-open or idle for
//!   longer than they allow. There is no timer for each: the longest-standing are looked at.
//! - *Who sends nothing makes room for who does*: where there are too many, the one that has been
//!   half-open (then, idle) for longest leaves, and the newcomer stays. A busy one is never made to
//!   leave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fanfare_delivery::Seats;
use slab::Slab;
use tokio::sync::oneshot;

use crate::metrics::Refused;

/// What the roster allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most connections, streams' included.
    pub(crate) connections: usize,
    /// The most that have not sent a request's head yet.
    pub(crate) half_open: usize,
    /// The most that are idle.
    pub(crate) idle: usize,
    /// For how long one may be half-open.
    pub(crate) head_timeout: Duration,
    /// For how long one may be idle.
    pub(crate) idle_timeout: Duration,
}

/// Every connection that carries requests.
#[derive(Debug)]
pub(crate) struct Roster {
    bounds: Bounds,
    seats: Seats,
    state: Mutex<State>,
}

/// How many connections there are, of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) connections: usize,
    pub(crate) half_open: usize,
    pub(crate) idle: usize,
}

/// A connection's entry; it leaves the roster when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    roster: Arc<Roster>,
    key: usize,
}

/// Marks its connection as busy.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Entry>);

/// Tells a connection to leave, and why if that is a refusal.
pub(crate) type Leave = oneshot::Receiver<Option<Refused>>;

#[derive(Debug, Default)]
struct State {
    standings: Slab<Standing>,
    half_open: Queue,
    idle: Queue,
    turn: u64,
}

/// Entries in the order in which they joined it.
type Queue = BTreeMap<u64, usize>;

#[derive(Debug)]
struct Standing {
    kind: Kind,
    /// Since when it is of its kind, and its place in that kind's queue.
    since: Instant,
    turn: u64,
    /// Gone once it has been told.
    leave: Option<oneshot::Sender<Option<Refused>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    HalfOpen,
    Busy { requests: u32 },
    Idle,
}

impl Roster {
    /// An empty one. Of `seats`, the sockets count as connections.
    pub(crate) fn new(bounds: Bounds, seats: Seats) -> Arc<Self> {
        Arc::new(Self { bounds, seats, state: Mutex::default() })
    }

    /// Adds a connection that was just accepted, as half-open. Others may have to leave for it; if
    /// none can, it is refused.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<(Arc<Entry>, Leave)> {
        let mut state = self.lock();
        if state.standings.len() + self.seats.sockets() >= self.bounds.connections {
            let room = state.dismiss_half_open(Refused::Connections)
                || state.dismiss_idle(Some(Refused::Connections));
            if !room {
                return None;
            }
        }
        if state.half_open.len() >= self.bounds.half_open {
            state.dismiss_half_open(Refused::HalfOpen);
        }
        let (leave, left) = oneshot::channel();
        let turn = state.next_turn();
        let standing =
            Standing { kind: Kind::HalfOpen, since: Instant::now(), turn, leave: Some(leave) };
        let key = state.standings.insert(standing);
        state.half_open.insert(turn, key);
        drop(state);
        Some((Arc::new(Entry { roster: Arc::clone(self), key }), left))
    }

    /// Makes those leave whose time is over. To be called a few times a second.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = self.lock();
        let over = |since, allowed| now.saturating_duration_since(since) >= allowed;
        while state.oldest_half_open().is_some_and(|since| over(since, self.bounds.head_timeout)) {
            state.dismiss_half_open(Refused::HeadTimeout);
        }
        while state.oldest_idle().is_some_and(|since| over(since, self.bounds.idle_timeout)) {
            state.dismiss_idle(None);
        }
    }

    /// How many there are now.
    pub(crate) fn census(&self) -> Census {
        let sockets = self.seats.sockets();
        let state = self.lock();
        Census {
            connections: state.standings.len() + sockets,
            half_open: state.half_open.len(),
            idle: state.idle.len(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// A request's head is whole; it is being answered until what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.roster.lock();
        let State { standings, half_open, idle, .. } = &mut *state;
        let standing = &mut standings[self.key];
        match &mut standing.kind {
            Kind::Busy { requests } => *requests += 1,
            kind => {
                let queue = if *kind == Kind::Idle { idle } else { half_open };
                queue.remove(&standing.turn);
                *kind = Kind::Busy { requests: 1 };
            }
        }
        drop(state);
        Busy(Arc::clone(self))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.roster.lock();
        let standing = state.standings.remove(self.key);
        state.half_open.remove(&standing.turn);
        state.idle.remove(&standing.turn);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Entry { roster, key } = &*self.0;
        let mut state = roster.lock();
        let turn = state.next_turn();
        let State { standings, idle, .. } = &mut *state;
        let standing = &mut standings[*key];
        match &mut standing.kind {
            Kind::Busy { requests } if *requests > 1 => *requests -= 1,
            kind => {
                *kind = Kind::Idle;
                standing.since = Instant::now();
                standing.turn = turn;
                idle.insert(turn, *key);
            }
        }
        if state.idle.len() > roster.bounds.idle {
            state.dismiss_idle(Some(Refused::Idle));
        }
    }
}

impl State {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn oldest_half_open(&self) -> Option<Instant> {
        self.half_open.first_key_value().map(|(_, key)| self.standings[*key].since)
    }

    fn oldest_idle(&self) -> Option<Instant> {
        self.idle.first_key_value().map(|(_, key)| self.standings[*key].since)
    }

    /// Tells the one that has been half-open for longest to leave. False: there is none.
    fn dismiss_half_open(&mut self, why: Refused) -> bool {
        let oldest = self.half_open.pop_first();
        self.tell(oldest, Some(why))
    }

    fn dismiss_idle(&mut self, why: Option<Refused>) -> bool {
        let oldest = self.idle.pop_first();
        self.tell(oldest, why)
    }

    fn tell(&mut self, whom: Option<(u64, usize)>, why: Option<Refused>) -> bool {
        let Some((_, key)) = whom else { return false };
        if let Some(leave) = self.standings[key].leave.take() {
            // Who is not listening has left already.
            let _ = leave.send(why);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        connections: 4,
        half_open: 2,
        idle: 1,
        head_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(2),
    };

    fn roster(bounds: Bounds) -> Arc<Roster> {
        Roster::new(bounds, Seats::new(0))
    }

    fn told(leave: &mut Leave) -> Option<Option<Refused>> {
        leave.try_recv().ok()
    }

    #[test]
    fn a_newcomer_is_shut_out_by_those_that_send_nothing() {
        let roster = roster(BOUNDS);
        let mut entered: Vec<_> = (0..3).map(|_| roster.enter().unwrap()).collect();
        assert_eq!(told(&mut entered[0].1), Some(Some(Refused::HalfOpen)));
        assert_eq!(told(&mut entered[1].1), None);
        assert_eq!(told(&mut entered[2].1), None);
    }

    #[test]
    fn a_busy_connection_is_made_to_leave() {
        let roster = roster(BOUNDS);
        let mut entered: Vec<_> = (0..4).map(|_| roster.enter().unwrap()).collect();
        let busy: Vec<_> = entered.iter().map(|(entry, _)| entry.begin()).collect();
        assert!(roster.enter().is_none());
        roster.expire(Instant::now() + BOUNDS.idle_timeout);
        assert!(entered[2..].iter_mut().all(|(_, leave)| told(leave).is_none()));
        drop(busy);
    }

    #[test]
    fn the_wrong_idle_connection_leaves() {
        let roster = roster(BOUNDS);
        let (first, mut first_told) = roster.enter().unwrap();
        let (second, mut second_told) = roster.enter().unwrap();
        let (one, another) = (first.begin(), first.begin());
        drop(second.begin());
        drop(one);
        assert_eq!(roster.census(), Census { connections: 2, half_open: 0, idle: 1 });
        drop(another);
        assert_eq!(told(&mut second_told), Some(Some(Refused::Idle)));
        assert_eq!(told(&mut first_told), None);
        assert_eq!(roster.census(), Census { connections: 2, half_open: 0, idle: 1 });
    }

    #[test]
    fn time_passes_and_nobody_leaves() {
        let roster = roster(BOUNDS);
        let (idle, mut idle_told) = roster.enter().unwrap();
        drop(idle.begin());
        let (_half_open, mut half_open_told) = roster.enter().unwrap();
        let now = Instant::now();
        roster.expire(now + Duration::from_millis(500));
        assert_eq!((told(&mut half_open_told), told(&mut idle_told)), (None, None));
        roster.expire(now + BOUNDS.head_timeout);
        assert_eq!(told(&mut half_open_told), Some(Some(Refused::HeadTimeout)));
        roster.expire(now + BOUNDS.idle_timeout);
        assert_eq!(told(&mut idle_told), Some(None));
    }

    #[test]
    fn one_who_left_is_still_counted() {
        let roster = roster(BOUNDS);
        let (entry, _leave) = roster.enter().unwrap();
        drop(entry.begin());
        drop(entry);
        assert_eq!(roster.census(), Census { connections: 0, half_open: 0, idle: 0 });
    }
}
