//! A shard: one poller, a table of subscribers, driven turn by turn.
//!
//! A turn: take the inbox, follow the window, give each subscriber whom new events concern one turn, do
//! a share of what was asked, act on what the poller says, see to what is due by now.
//!
//! What must hold:
//!
//! - A subscriber whose cursor is [`Cursor::Live`] has been handed everything before `self.offset`,
//!   which is the end of the ring unless the shard is behind.
//! - The inbox is taken before the window is followed: whoever joins from it was given a position
//!   that the followed ring reaches, so that nobody receives what was published before. Where the
//!   shard has not come to it, the newcomer waits.
//! - Each turn does a bounded amount of each kind of work, live delivery first.
//! - It reads no clock, and whoever turns it twice in the same way sees the same twice.

/// The [`Context`](crate::context::Context) of a turn: it borrows only these fields of the shard, so
/// that a subscriber of its table can be borrowed beside it.
macro_rules! context {
    ($shard:expr, $now:expr) => {
        $crate::context::Context {
            now: $now,
            limits: &$shard.limits,
            totals: &mut $shard.totals,
            scanned: &mut $shard.scanned,
            scratch: &mut $shard.scratch,
        }
    };
}

mod arrival;
mod catch_up;
mod closing;
mod command_queue;
mod cuts;
mod demands;
mod drain;
mod expiries;
mod expression_index;
mod fan_out;
mod follow;
mod heartbeat;
mod heartbeat_walk;
mod list;
mod members;
mod name_map;
mod pattern_tree;
mod pattern_trees;
mod pauses;
mod pausing;
mod segments;
mod short_turn;
mod stalls;
mod subscriber_table;
#[cfg(test)]
mod tests;
mod topic_index;
mod tree_walk;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::Position;
use fanfare_hub::{Ring, Window};
use fanfare_log::ReadFrom;
use mio::{Poll, Registry, Token, Waker};

use self::command_queue::CommandQueue;
use self::cuts::Cuts;
use self::drain::Drain;
use self::expiries::Expiries;
use self::fan_out::FanOut;
use self::heartbeat_walk::HeartbeatWalk;
use self::pauses::Pauses;
pub(crate) use self::short_turn::ShortTurn;
use self::stalls::Stalls;
use self::subscriber_table::SubscriberTable;
use crate::backpressure::{StallPolicy, StallVerdict};
use crate::body::BodySignal;
use crate::context::Context;
use crate::counters::{CloseReason, Totals};
use crate::cursor::Cursor;
use crate::inbox::{ShardCommand, ShardHandle};
use crate::now::Now;
use crate::readers::ReadQueue;
use crate::ready::Ready;
use crate::retry::Retry;
use crate::settings::{DeliverySettings, StepLimits};
use crate::sink_io::Inbound;
use crate::subscriber::{Awaits, SendOutcome, Subscriber};
use crate::subscriber_key::SubscriberKey;

/// The poller's word that the inbox or the window has news.
pub(crate) const NEWS: Token = Token(usize::MAX);
/// How often housekeeping is done: lag, retried reads, ids that grow stale.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// How often a drain closes a few.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// A page that is asked for counts as so many events that were looked at, in what one turn may do.
const PAGE_REQUEST: usize = 64;
/// How many blocked subscribers are looked at to find the slowest.
const LAG_SAMPLE: usize = 10_000;

/// A shard without its thread: whoever has it gives it its turns.
pub(crate) struct Shard {
    handle: Arc<ShardHandle>,
    registry: Registry,
    window: Arc<Window>,
    read_queue: ReadQueue,
    limits: StepLimits,
    ring: Ring,
    /// Up to where the window has been processed, and the position of the last frame before it.
    offset: u64,
    position: Position,
    table: SubscriberTable,
    /// Whom what is being delivered concerns.
    fan_out: FanOut,
    stalls: Stalls,
    expiries: Expiries,
    max_age: Option<Duration>,
    pauses: Pauses,
    cuts: Cuts,
    commands: CommandQueue,
    /// Who wants another turn.
    queue: VecDeque<SubscriberKey>,
    /// Whose read failed and is to be tried again.
    failed_reads: Vec<SubscriberKey>,
    totals: Totals,
    /// What this turn has looked at for those who are behind; see [`StepLimits::scan`].
    scanned: usize,
    /// Where sinks make what they send; one subscriber's at a time.
    scratch: Vec<u8>,
    retry: Retry,
    walk: HeartbeatWalk,
    last_housekeeping: Instant,
    drain: Option<Drain>,
    /// Whether someone has entered since the window was last followed.
    has_newcomers: bool,
    /// When the last turn was, short ones included.
    turned: Instant,
}

impl Shard {
    /// A shard whose sockets report to `poll`. It has what the window holds by now.
    pub(crate) fn new(
        poll: &Poll,
        window: Arc<Window>,
        read_queue: ReadQueue,
        settings: &DeliverySettings,
        now: Now,
    ) -> io::Result<Self> {
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, NEWS)?;
        let mut ring = Ring::new(Position::ORIGIN);
        window.follow(&mut ring);
        let policy = StallPolicy { timeout: settings.write_timeout, rate: settings.min_rate };
        Ok(Self {
            handle: Arc::new(ShardHandle::new(waker)),
            registry,
            window,
            read_queue,
            limits: settings.limits,
            offset: ring.end(),
            position: ring.position_before(ring.end()),
            ring,
            table: SubscriberTable::default(),
            fan_out: FanOut::default(),
            stalls: Stalls::new(policy),
            expiries: Expiries::default(),
            max_age: settings.max_age,
            pauses: Pauses::default(),
            cuts: Cuts::default(),
            commands: CommandQueue::default(),
            queue: VecDeque::new(),
            failed_reads: Vec::new(),
            totals: Totals::default(),
            scanned: 0,
            scratch: Vec::new(),
            retry: settings.retry,
            walk: HeartbeatWalk::new(settings.heartbeat, settings.longest_heartbeat, now.monotonic),
            last_housekeeping: now.monotonic,
            drain: None,
            has_newcomers: false,
            turned: now.monotonic,
        })
    }

    pub(crate) fn handle(&self) -> Arc<ShardHandle> {
        Arc::clone(&self.handle)
    }

    /// One turn; `ready` is what the poller has said since the last. True once there is nothing more
    /// to do, ever.
    pub(crate) fn turn(&mut self, now: Now, ready: impl IntoIterator<Item = Ready>) -> bool {
        self.turned = now.monotonic;
        self.commands.extend(self.handle.take());
        self.follow(now);
        self.scanned = 0;
        for command in self.commands.share(&self.limits) {
            self.handle_command(command, now);
        }
        for ready in ready {
            self.on_ready(ready, now);
        }
        // What came while they entered has woken nobody for them.
        if std::mem::take(&mut self.has_newcomers) {
            self.follow(now);
        }
        self.serve_queue(now);
        self.run_timers(now);
        let drained = self.drain(now) && self.commands.is_empty();
        self.totals.waiting_commands = self.commands.len() as u64;
        self.handle.publish(&self.totals);
        drained && self.handle.close()
    }

    /// Sees to what is due by now.
    fn run_timers(&mut self, now: Now) {
        self.expire(now);
        self.end_pauses(now);
        self.end_stalls(now);
        self.do_housekeeping(now);
        self.heartbeat(now);
    }

    /// For how long nothing is due, unless the poller or others have news; `None` is for ever.
    pub(crate) fn poll_timeout(&self, now: Now) -> Option<Duration> {
        if self.has_work() {
            Some(Duration::ZERO)
        } else if self.drain.is_some() {
            Some(DRAIN_STEP)
        } else if self.table.is_empty() {
            None
        } else {
            let step = self.walk.next_step();
            let expiry = self.expiries.next().map(|at| now.until(at));
            let pause = self.pauses.next();
            let pause = pause.map(|end| end.saturating_duration_since(now.monotonic));
            [expiry, pause].into_iter().flatten().chain([step]).min()
        }
    }

    /// Whether another turn has something to do at once.
    fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.commands.is_empty() || self.is_behind()
    }

    /// Gives one subscriber a turn, or a place in the queue where this turn has looked at enough for others.
    fn serve(&mut self, key: SubscriberKey, now: Now) {
        let Some(subscriber) = self.table.get(key) else { return };
        let is_behind = subscriber.cursor != Cursor::Live && subscriber.reading.is_none();
        if is_behind && self.scanned >= self.limits.scan / 2 {
            self.queue_turn(key);
        } else {
            self.serve_at_once(key, now);
        }
    }

    /// Gives one subscriber a place in the queue.
    fn queue_turn(&mut self, key: SubscriberKey) {
        if let Some(subscriber) = self.table.get_mut(key)
            && !subscriber.awaits.turn
        {
            subscriber.awaits.turn = true;
            self.queue.push_back(key);
        }
    }

    fn serve_at_once(&mut self, key: SubscriberKey, now: Now) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let before = self.totals.deliveries;
        let mut context = context!(self, now);
        // While a page is on its way, the cursor belongs to it.
        let Awaits { pause, .. } = subscriber.awaits;
        let outcome = if subscriber.reading.is_some() || subscriber.is_closing() || pause {
            subscriber.send_out_of_band(Bytes::new(), &mut context)
        } else {
            subscriber.send_from_ring(&self.ring, self.offset, &mut context)
        };
        self.window.evict_to_weight();
        self.act_on(key, outcome, now);
        if self.totals.deliveries > before {
            self.pause(key, now);
        }
    }

    /// Has a subscriber send something, and acts on how that ended.
    fn with(
        &mut self,
        key: SubscriberKey,
        now: Now,
        send: impl FnOnce(&mut Subscriber, &mut Context<'_>) -> io::Result<SendOutcome>,
    ) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let mut context = context!(self, now);
        let outcome = send(subscriber, &mut context);
        self.act_on(key, outcome, now);
    }

    /// Sends a subscriber bytes that are not part of the log.
    fn send_out_of_band(&mut self, key: SubscriberKey, bytes: Bytes, now: Now) {
        self.with(key, now, |subscriber, context| subscriber.send_out_of_band(bytes, context));
    }

    /// Acts on how a subscriber's turn ended.
    fn act_on(&mut self, key: SubscriberKey, outcome: io::Result<SendOutcome>, now: Now) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let mut context = context!(self, now);
        let closing = subscriber.closing;
        let finished = outcome.and_then(|outcome| match closing {
            Some(reason) if subscriber.is_clear() => {
                let gone = subscriber.finish(&mut context)?;
                Ok((if gone { outcome } else { SendOutcome::Blocked }, gone.then_some(reason)))
            }
            _ => Ok((outcome, None)),
        });
        let outcome = match finished {
            Ok((_, Some(reason))) => return self.remove(key, reason),
            Ok((outcome, None)) => outcome,
            Err(error) => {
                tracing::trace!(%error, "a subscriber's connection failed");
                let gone = closing.filter(|reason| *reason == CloseReason::ClientGone);
                return self.remove(key, gone.unwrap_or(CloseReason::ConnectionError));
            }
        };
        match outcome {
            SendOutcome::CaughtUp => {}
            SendOutcome::Yielded => {
                // A pause is for events: what has begun is finished.
                let pauses = subscriber.awaits.pause && subscriber.is_clear();
                if !pauses && subscriber.reading.is_none() {
                    self.queue_turn(key);
                }
            }
            SendOutcome::MeetsGap => self.close(key, CloseReason::Gap, now),
            SendOutcome::NeedsLog => {
                self.scanned += PAGE_REQUEST;
                self.request_page(key);
            }
            SendOutcome::Blocked => {
                if !subscriber.awaits.deadline {
                    subscriber.awaits.deadline = true;
                    let deadline = subscriber.stall_deadline(self.stalls.policy(), now);
                    self.stalls.insert(key, deadline);
                }
            }
        }
        debug_assert!(
            self.table.get(key).is_none_or(|subscriber| !subscriber.is_forgotten()),
            "behind, and nothing will wake it"
        );
        self.watch_for_room(key);
    }

    /// Asks the poller for word of room exactly while a subscriber waits for it.
    fn watch_for_room(&mut self, key: SubscriberKey) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let wanted = subscriber.awaits.room;
        if wanted == subscriber.awaits.poller {
            return;
        }
        match subscriber.sink.want_room(wanted, &self.registry, key) {
            Ok(()) => subscriber.awaits.poller = wanted,
            Err(error) => {
                tracing::warn!(%error, "a subscriber's socket could not be watched");
                self.remove(key, CloseReason::ConnectionError);
            }
        }
    }

    fn handle_command(&mut self, command: ShardCommand, now: Now) {
        match command {
            ShardCommand::Join(subscriber) => self.join(*subscriber, now),
            ShardCommand::Attach(detached) => self.attach(*detached, now),
            ShardCommand::Detach(limit, movable, reply) => {
                // Whoever asks has seen to it that nobody comes any more.
                for arrival in self.commands.arrivals() {
                    self.handle_command(arrival, now);
                }
                reply(self.detach(limit, movable, now));
            }
            ShardCommand::Read(key, read) => self.take_page(key, read, now),
            ShardCommand::Signal(key, BodySignal::Room) => self.serve(key, now),
            ShardCommand::Signal(key, BodySignal::Gone) => {
                self.remove(key, CloseReason::ClientGone);
            }
            ShardCommand::Cut(cuts, done) => done(self.cut(&cuts, now)),
            ShardCommand::Reverify(at, done) => done(self.reverify(at, now)),
            ShardCommand::Drain(over) => {
                self.drain = Some(Drain::begin(now.monotonic, over, self.table.len()));
            }
            ShardCommand::List(query, reply) => {
                let lag = |subscriber: &Subscriber| self.lag(subscriber);
                reply(query.answer(&self.table, now, lag));
            }
            ShardCommand::Count(topics, counts, reply) => self.count(topics, counts, reply),
            ShardCommand::CutOne(key, reply) => reply(self.cut_one(key, now)),
        }
    }

    /// Reacts to what the poller says of a socket.
    fn on_ready(&mut self, ready: Ready, now: Now) {
        let Ready { key, readable, writable } = ready;
        let Some(subscriber) = self.table.get_mut(key) else { return };
        if readable {
            let reason = match subscriber.sink.discard_input(now.monotonic) {
                Inbound::Nothing => None,
                Inbound::CloseNotify if subscriber.is_closing() => None,
                Inbound::CloseNotify => return self.close(key, CloseReason::ClientGone, now),
                Inbound::End => Some(CloseReason::ClientGone),
                Inbound::Error => Some(CloseReason::ConnectionError),
                Inbound::Flood => Some(CloseReason::ClientTalks),
            };
            if let Some(reason) = reason {
                return self.remove(key, reason);
            }
        }
        if writable && subscriber.awaits.room {
            self.serve(key, now);
        }
    }

    fn serve_queue(&mut self, now: Now) {
        for _ in 0..self.queue.len().min(self.limits.queued) {
            // Those who are not queued have at most half of it.
            if self.scanned >= self.limits.scan {
                break;
            }
            let Some(key) = self.queue.pop_front() else { break };
            if let Some(subscriber) = self.table.get_mut(key) {
                subscriber.awaits.turn = false;
                self.serve_at_once(key, now);
            }
        }
    }

    fn remove(&mut self, key: SubscriberKey, reason: CloseReason) {
        if self.take_out(key).is_none() {
            return;
        }
        self.totals.closed[reason.index()] += 1;
    }

    /// Ends those who have been blocked for too long, or have taken too little.
    fn end_stalls(&mut self, now: Now) {
        while let Some(key) = self.stalls.pop_due(now.monotonic) {
            let Some(subscriber) = self.table.get_mut(key) else { continue };
            subscriber.awaits.deadline = false;
            if !subscriber.awaits.room {
                continue;
            }
            match subscriber.judge_stall(self.stalls.policy(), now, &self.limits) {
                StallVerdict::Silent => self.remove(key, CloseReason::WriteTimeout),
                StallVerdict::TooSlow => self.remove(key, CloseReason::TooSlow),
                StallVerdict::Until(deadline) => {
                    subscriber.awaits.deadline = true;
                    self.stalls.insert(key, deadline);
                }
            }
        }
    }

    /// What need not be done at every turn.
    fn do_housekeeping(&mut self, now: Now) {
        if now.monotonic.saturating_duration_since(self.last_housekeeping) < HOUSEKEEPING {
            return;
        }
        self.last_housekeeping = now.monotonic;
        for key in std::mem::take(&mut self.failed_reads) {
            if let Some(subscriber) = self.table.get_mut(key) {
                subscriber.awaits.retry = false;
                self.serve(key, now);
            }
        }
        self.walk.refresh(self.window.stale_before(now.wall));
        let blocked = self.stalls.keys().take(LAG_SAMPLE);
        let lags = blocked.filter_map(|key| self.table.get(key)).map(|s| self.lag(s));
        self.totals.slowest_lag = lags.max().unwrap_or(0);
    }

    /// How many events a subscriber is behind.
    fn lag(&self, subscriber: &Subscriber) -> u64 {
        let Cursor::At(ReadFrom::After(position)) = subscriber.cursor else { return 0 };
        match self.ring.offset_after(position) {
            Some(offset) => self.offset.saturating_sub(offset),
            // Behind the ring, dense positions tell how far.
            None if self.position.epoch == position.epoch => {
                self.position.seq.saturating_sub(position.seq)
            }
            None => self.offset,
        }
    }
}
