//! Clients of two sorts: one follows the log wherever it is and is away now and then; the other
//! comes back just where retention is about to trim.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{AskedEnvelope, ClientCursor, Leave, RigClient};
use crate::id::ReceivedId;
use crate::ledger::RoundLedger;
use crate::message::EventName;
use crate::topic::TopicChoice;

/// How long a client may go without getting on, once nothing is in its way.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(40);

/// What clients share.
#[derive(Debug)]
pub struct ClientPool<'a> {
    /// Where they may go.
    pub nodes: &'a [SocketAddr],
    /// Where they note what they hear.
    pub ledger: &'a RoundLedger,
    /// Everyone should come to the end now.
    pub finishing: AtomicBool,
    /// What was told to be gone, by selector: the place where retention trims.
    edges: Mutex<HashMap<TopicChoice, ReceivedId>>,
}

impl<'a> ClientPool<'a> {
    /// Nobody yet.
    pub fn new(nodes: &'a [SocketAddr], ledger: &'a RoundLedger) -> Self {
        Self { nodes, ledger, finishing: AtomicBool::new(false), edges: Mutex::default() }
    }

    fn client(
        &self,
        number: u32,
        mut selector: TopicChoice,
        envelope: AskedEnvelope,
    ) -> RigClient<'_> {
        // Others publish beside the rig's publishers, elsewhere.
        if self.ledger.steady.load(Ordering::Relaxed) {
            let all = selector.patterns.iter_mut().filter(|pattern| *pattern == "**");
            all.for_each(|pattern| "rig/**".clone_into(pattern));
        }
        RigClient::new(number, self.nodes, self.ledger, &self.finishing, selector, envelope)
    }

    /// Follows until the end.
    pub fn follow(&self, number: u32, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let selector = TopicChoice::any(&mut random);
        let envelope = AskedEnvelope::ALL[random.usize(..3)];
        let mut client = self.client(number, selector, envelope);
        // A few are slow.
        let read_pause =
            if random.u8(..8) == 0 { Duration::from_millis(20) } else { Duration::ZERO };
        let mut finishing_since = None;
        loop {
            let finishing = self.finishing.load(Ordering::Acquire);
            if finishing {
                // Slow is not stuck: the wait begins anew wherever it gets.
                let at = client.position;
                let (since, _) = match finishing_since {
                    Some(waits @ (_, here)) if here == at => waits,
                    _ => *finishing_since.insert((Instant::now(), at)),
                };
                if client.is_at_the_end() || since.elapsed() > CATCH_UP_TIMEOUT {
                    break;
                }
            }
            let cursor = match client.position {
                Some(id) => ClientCursor::After(id),
                None if random.bool() => ClientCursor::Earliest,
                None => ClientCursor::Live,
            };
            let leave = Leave {
                events: if random.u8(..4) == 0 { random.u64(1..200) } else { u64::MAX },
                time: if finishing { CATCH_UP_TIMEOUT } else { millis(&mut random, 6000) },
                at: None,
                read_pause,
                narrow: false,
            };
            let leave = if finishing { Leave { events: u64::MAX, ..leave } } else { leave };
            client.run_connection(random.usize(..self.nodes.len()), cursor, leave);
            // Back at once, or after a while; now and then a client forgets.
            if !finishing {
                if random.u8(..40) == 0 {
                    client.position = None;
                }
                let most = if random.u8(..4) == 0 { 4000 } else { 200 };
                self.pause(millis(&mut random, most));
            } else {
                thread::sleep(Duration::from_millis(20));
            }
        }
        client.conclude();
    }

    /// Stays on one connection for as long as that lasts, until the end. One who is `stuck` takes little, and
    /// that seldom.
    pub fn remain(&self, number: u32, seed: u64, stuck: bool) {
        let mut random = fastrand::Rng::with_seed(seed);
        let selector = if stuck { TopicChoice::of(&["**"]) } else { TopicChoice::any(&mut random) };
        let mut client = self.client(number, selector, AskedEnvelope::ALL[random.usize(..3)]);
        let read_pause = if stuck { millis(&mut random, 4000) } else { Duration::ZERO };
        let time = Duration::from_secs(24 * 3600);
        let leave = Leave { events: u64::MAX, time, at: None, read_pause, narrow: stuck };
        let node = random.usize(..self.nodes.len());
        let mut finishing_since = None;
        loop {
            if self.finishing.load(Ordering::Acquire) {
                let since = *finishing_since.get_or_insert_with(Instant::now);
                if client.is_at_the_end() || since.elapsed() > CATCH_UP_TIMEOUT {
                    break;
                }
            }
            let cursor = client.position.map_or(ClientCursor::Live, ClientCursor::After);
            client.run_connection(node, cursor, leave);
            thread::sleep(Duration::from_millis(20));
        }
        client.conclude();
    }

    fn pause(&self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time && !self.finishing.load(Ordering::Acquire) {
            thread::sleep(time.saturating_sub(begun.elapsed()).min(Duration::from_millis(50)));
        }
    }

    /// Comes back again and again as a client would that was away until just now, when the last it
    /// heard is about to be trimmed. `retained` is how much is kept, `step` how much is trimmed at
    /// a time, both in events.
    pub fn race(&self, number: u32, seed: u64, retained: usize, step: usize) {
        let mut random = fastrand::Rng::with_seed(seed);
        let selectors = ["**", "rig/1/*", "rig/0/3", "rig/2/5"];
        while !self.ledger.closing.load(Ordering::Relaxed) {
            let selector = TopicChoice::of(&[selectors[random.usize(..selectors.len())]]);
            let mut client = self.client(number, selector, AskedEnvelope::None);
            let edge = self.edges().get(&client.selector).copied();
            let cursor = self.ledger.look(|all| {
                let low = match edge {
                    Some(edge) => all.partition_point(|event| event.id <= edge),
                    None => all.len().checked_sub(retained)?,
                };
                let near = if random.bool() { 64 } else { step + step / 4 };
                all.get((low + random.usize(..near)).min(all.len().saturating_sub(1)))
                    .map(|event| event.id)
            });
            let Some(cursor) = cursor else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            let leave = Leave {
                events: random.u64(1..(step as u64).max(200)),
                time: Duration::from_secs(2),
                at: None,
                read_pause: Duration::ZERO,
                narrow: false,
            };
            client.run_connection(
                random.usize(..self.nodes.len()),
                ClientCursor::After(cursor),
                leave,
            );
            if let Some(gap) = client.gap {
                let mut edges = self.edges();
                let edge = edges.entry((*client.selector).clone()).or_insert(gap);
                *edge = gap.max(*edge);
            }
        }
    }

    /// Comes once, in a herd of others: for everything, or for what it missed of late.
    pub fn herd(&self, number: u32, cold: bool, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let selector = TopicChoice::any(&mut random);
        let mut client = self.client(number, selector, AskedEnvelope::ALL[random.usize(..3)]);
        let recent = self.ledger.look(|all| {
            let back = random.usize(1..500).min(all.len());
            all.get(all.len() - back).map(|event| event.id)
        });
        let cursor = if cold {
            ClientCursor::Earliest
        } else {
            recent.map_or(ClientCursor::Live, ClientCursor::After)
        };
        let (events, time) = (random.u64(1..2000), Duration::from_secs(3));
        let leave = Leave { events, time, at: None, read_pause: Duration::ZERO, narrow: false };
        client.run_connection(random.usize(..self.nodes.len()), cursor, leave);
    }

    /// Reads everything that is retained; what it heard, by name.
    pub fn audit(&self, number: u32) -> HashSet<EventName> {
        let mut client = self.client(number, TopicChoice::of(&["**"]), AskedEnvelope::None);
        client.names = Some(HashSet::new());
        let leave = Leave {
            events: u64::MAX,
            time: CATCH_UP_TIMEOUT,
            at: client.target(),
            read_pause: Duration::ZERO,
            narrow: false,
        };
        client.run_connection(0, ClientCursor::Earliest, leave);
        client.names.take().unwrap_or_default()
    }

    fn edges(&self) -> std::sync::MutexGuard<'_, HashMap<TopicChoice, ReceivedId>> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(random: &mut fastrand::Rng, most: u64) -> Duration {
    Duration::from_millis(random.u64(1..most))
}
