//! An engine outside, which several nodes share, with what a Redis may do to them: a replica takes over
//! that lacks the last writes, replies are lost or late, a node hears of what happened only when it gets to
//! it, others trim what it reads.
//!
//! It keeps the contract of an event log. It is no Redis: it knows what it lost, where a Redis can only be
//! told by the nodes. So it shows whether what is above it bears such an engine, not whether the scripts do
//! as it does.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fanfare_event::{Draft, Event, EventId, Position, Selector, Timestamp};
use fanfare_log::{
    AppendError, Appended, Appending, Batch, Durability, Environment, EventLog, Finding, Lineage,
    Page, PageLimit, ReadError, ReadFrom, Tail, TopicTable, Unready, next_epoch,
};
use fanfare_testkit::SimulatedEnvironment;
use fastrand::Rng;

/// How many entries one call brings.
const ENTRIES: usize = 3;

/// The engine.
pub(crate) struct SharedEngine {
    state: Mutex<State>,
    environment: SimulatedEnvironment,
    before_part: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

struct State {
    /// How each ancestor of the current epoch ended.
    lineage: Lineage,
    ends: Vec<fanfare_log::Ended>,
    last: Position,
    events: VecDeque<Arc<Event>>,
    /// What a replica may lack as a whole.
    batches: Vec<(Position, usize, Option<String>)>,
    keys: HashMap<String, (Position, usize)>,
    topics: TopicTable,
    retain_count: u64,
    retain_age: Duration,
    unreachable: Vec<usize>,
    loses_reply: bool,
    loses_request: bool,
    rng: Rng,
}

/// A node's way to the engine.
pub(crate) struct NodeLog {
    engine: Arc<SharedEngine>,
    node: usize,
    tail: Arc<dyn Tail>,
    heard: Mutex<Heard>,
    replies: Mutex<VecDeque<Arc<Reply>>>,
}

/// What a node knows.
struct Heard {
    lineage: Lineage,
    last: Position,
    trimmed: Position,
}

type Outcome = Result<Appended, AppendError>;

/// A reply that may be late.
struct Reply {
    outcome: Mutex<Option<Outcome>>,
    has_come: Mutex<bool>,
}

struct Awaited(Arc<Reply>);

impl Future for Awaited {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        if !*lock(&self.0.has_come) {
            return Poll::Pending;
        }
        lock(&self.0.outcome).take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl SharedEngine {
    pub(crate) fn new(seed: u64, retain_count: u64, retain_age: Duration) -> Arc<Self> {
        let environment = SimulatedEnvironment::new(!seed);
        let epoch = next_epoch(0, environment.now(), environment.random());
        let state = State {
            lineage: Lineage::root(epoch),
            ends: Vec::new(),
            last: Position::new(epoch, 0),
            events: VecDeque::new(),
            batches: Vec::new(),
            keys: HashMap::new(),
            topics: TopicTable::new(TopicTable::QUIET_LIMIT),
            retain_count,
            retain_age,
            unreachable: Vec::new(),
            loses_reply: false,
            loses_request: false,
            rng: Rng::with_seed(seed),
        };
        Arc::new(Self { state: Mutex::new(state), environment, before_part: Mutex::new(None) })
    }

    /// Calls `hook` before each part of a page is fetched.
    pub(crate) fn before_each_part(&self, hook: impl FnMut() + Send + 'static) {
        *lock(&self.before_part) = Some(Box::new(hook));
    }

    fn call_hook(&self) {
        let taken = lock(&self.before_part).take();
        if let Some(mut hook) = taken {
            hook();
            *lock(&self.before_part) = Some(hook);
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.environment.pass(time);
    }

    pub(crate) fn set_reachable(&self, node: usize, reach: bool) {
        let mut state = lock(&self.state);
        state.unreachable.retain(|it| *it != node);
        if !reach {
            state.unreachable.push(node);
        }
    }

    /// A replica takes over that lacks so many batches; whether it lacks any.
    pub(crate) fn fail_over(&self, batches: usize) -> bool {
        let mut state = lock(&self.state);
        let mut lossy = false;
        for _ in 0..batches {
            let Some((first, count, key)) = state.batches.last().cloned() else { break };
            // An epoch that has ended has been told of.
            if first.epoch != state.last.epoch || first <= state.topics.trimmed() {
                break;
            }
            state.batches.pop();
            if let Some(key) = key {
                state.keys.remove(&key);
            }
            for _ in 0..count {
                state.events.pop_back();
            }
            state.last = Position::new(first.epoch, first.seq - 1);
            lossy = true;
        }
        if lossy {
            let trims: Vec<_> =
                state.topics.trims().map(|(topic, at)| (topic.clone(), at)).collect();
            let (forgotten, trimmed) = (state.topics.forgotten(), state.topics.trimmed());
            let mut topics =
                TopicTable::restored(TopicTable::QUIET_LIMIT, forgotten, trimmed, trims);
            for event in &state.events {
                for topic in event.topics() {
                    topics.retain(topic);
                }
            }
            state.topics = topics;
        }
        let (now, random) = (self.environment.now(), self.environment.random());
        let epoch = next_epoch(state.last.epoch, now, random);
        let end = state.last;
        state.ends.push(fanfare_log::Ended { end, lossy });
        state.lineage.begin(epoch, end.seq, lossy);
        state.last = Position::new(epoch, 0);
        lossy
    }

    pub(crate) fn lose_reply(&self) {
        lock(&self.state).loses_reply = true;
    }

    pub(crate) fn lose_request(&self) {
        lock(&self.state).loses_request = true;
    }

    pub(crate) fn trim(&self, events: usize) {
        lock(&self.state).trim(events);
    }

    fn append(&self, node: usize, batch: Batch) -> Outcome {
        let mut state = lock(&self.state);
        if state.unreachable.contains(&node) {
            let source = "the engine cannot be reached".into();
            return Err(AppendError::Unavailable { source });
        }
        let unknown = || AppendError::OutcomeUnknown { source: "no reply has come".into() };
        if std::mem::take(&mut state.loses_request) {
            return Err(unknown());
        }
        let outcome = state.append(batch, self.environment.now());
        if std::mem::take(&mut state.loses_reply) { Err(unknown()) } else { Ok(outcome) }
    }
}

impl State {
    fn append(&mut self, batch: Batch, now: Timestamp) -> Appended {
        let Batch { drafts, key } = batch;
        let count = drafts.len();
        let appended =
            |first, repeated| Appended { first, count, repeated, durability: Durability::Engine };
        let key = key.map(|key| key.as_str().to_owned());
        let known = key.as_ref().and_then(|key| self.keys.get(key));
        if let Some((first, _)) = known {
            return appended(*first, true);
        }
        let first = self.last.next();
        for draft in drafts {
            self.last = self.last.next();
            let (_, topic) = self.topics.retain(&draft.topic);
            draft.extras.iter().flat_map(|extras| extras.others()).for_each(|other| {
                self.topics.retain(other);
            });
            let draft = Draft { topic, ..draft };
            self.events.push_back(Arc::new(draft.accepted(self.last, now)));
        }
        if let Some(key) = &key {
            self.keys.insert(key.clone(), (first, count));
        }
        self.batches.push((first, count, key));
        let excess = (self.events.len() as u64).saturating_sub(self.retain_count);
        self.trim(excess as usize);
        appended(first, false)
    }

    fn trim(&mut self, events: usize) {
        for event in self.events.drain(..events.min(self.events.len())) {
            for topic in event.topics() {
                if let Some(id) = self.topics.id(topic) {
                    self.topics.trim(id, 1, event.position);
                }
            }
        }
    }

    fn expire(&mut self, now: Timestamp) {
        let age = self.retain_age.as_millis() as u64;
        let is_old = |event: &&Arc<Event>| event.published_at.as_millis() + age < now.as_millis();
        let old = self.events.iter().take_while(is_old).count();
        self.trim(old);
    }

    /// The lineage as it was when this epoch began.
    fn lineage_at(&self, epoch: u64) -> Lineage {
        let ends = self.ends.iter().copied().filter(|ended| ended.end.epoch < epoch);
        Lineage::recorded(ends, epoch).expect("epochs ascend")
    }
}

impl NodeLog {
    pub(crate) fn open(
        engine: Arc<SharedEngine>,
        node: usize,
        _environment: Arc<dyn Environment>,
        tail: Arc<dyn Tail>,
    ) -> Arc<Self> {
        engine.set_reachable(node, true);
        let (lineage, last) = {
            let state = lock(&engine.state);
            (state.lineage.clone(), state.last)
        };
        tail.begin(&lineage, last);
        let log = Self {
            engine,
            node,
            tail,
            heard: Mutex::new(Heard { lineage, last, trimmed: Position::ORIGIN }),
            replies: Mutex::default(),
        };
        log.hear_trims();
        log.tail.wake();
        Arc::new(log)
    }

    /// Hears a few entries more, and one reply; whether there was anything.
    pub(crate) fn hear(&self) -> bool {
        let reply = lock(&self.replies).pop_front();
        let replied = reply.is_some();
        if let Some(reply) = reply {
            *lock(&reply.has_come) = true;
        }
        if lock(&self.engine.state).unreachable.contains(&self.node) {
            return replied;
        }
        let heard_something = self.hear_entries() | self.hear_trims();
        if heard_something {
            self.tail.wake();
        }
        heard_something || replied
    }

    fn hear_entries(&self) -> bool {
        let mut heard = lock(&self.heard);
        let (entries, last) = {
            let state = lock(&self.engine.state);
            let ahead = state.events.iter().filter(|event| event.position > heard.last);
            (ahead.take(ENTRIES).cloned().collect::<Vec<_>>(), state.last)
        };
        for event in &entries {
            let before = Position::new(event.position.epoch, event.position.seq - 1);
            if before != heard.last {
                self.resume_at(&mut heard, before);
            }
            self.tail.append(std::slice::from_ref(event));
            heard.last = event.position;
        }
        if entries.is_empty() && last > heard.last {
            self.resume_at(&mut heard, last);
            return true;
        }
        !entries.is_empty()
    }

    fn resume_at(&self, heard: &mut Heard, at: Position) {
        if at.epoch != heard.lineage.current() {
            heard.lineage = lock(&self.engine.state).lineage_at(at.epoch);
        }
        self.tail.begin(&heard.lineage, at);
        heard.last = at;
    }

    fn hear_trims(&self) -> bool {
        let mut heard = lock(&self.heard);
        let trimmed = lock(&self.engine.state).topics.trimmed();
        let through = heard.lineage.named_up_to(trimmed).min(heard.last);
        let news = through > heard.trimmed;
        if news {
            heard.trimmed = through;
            self.tail.trim(through);
        }
        news
    }
}

impl EventLog for NodeLog {
    fn append(&self, batch: Batch) -> Appending {
        let outcome = self.engine.append(self.node, batch);
        let late = lock(&self.engine.state).rng.bool();
        let reply =
            Arc::new(Reply { outcome: Mutex::new(Some(outcome)), has_come: Mutex::new(!late) });
        if late {
            lock(&self.replies).push_back(Arc::clone(&reply));
        }
        Box::pin(Awaited(reply))
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let unavailable = |why: &str| ReadError::Unavailable { source: why.into() };
        let epoch = lock(&self.heard).lineage.current();
        let (mut at, is_earliest) = match from {
            ReadFrom::Earliest => (Position::ORIGIN, true),
            ReadFrom::After(position) => (position, false),
        };
        let mut page = Page { trimmed: None, events: Vec::new(), next: at };
        let (mut bytes, mut first) = (0, true);
        while at < until {
            self.engine.call_hook();
            let state = lock(&self.engine.state);
            // Nothing is read in an epoch that this node has not come to.
            if state.unreachable.contains(&self.node) || state.lineage.current() != epoch {
                if first {
                    return Err(unavailable("the engine has gone on elsewhere"));
                }
                break;
            }
            if first && is_earliest {
                at = state.topics.trimmed().max(Position::new(state.lineage.oldest(), 0));
            }
            let trimmed = state.topics.trimmed_after(&selector.topics, at);
            // What comes after that is told of on another page.
            if let Some(through) = trimmed.map(|through| through.min(until)) {
                if !first {
                    // The next page begins with the gap.
                    break;
                }
                if !is_earliest {
                    page.trimmed = Some(through);
                    at = through;
                }
            }
            first = false;
            let ahead = state.events.iter().filter(|e| e.position > at && e.position <= until);
            let entries: Vec<_> = ahead.take(ENTRIES).cloned().collect();
            drop(state);
            let is_last = entries.len() < ENTRIES;
            let mut full = false;
            for event in entries {
                at = event.position;
                if selector.matches(&event) {
                    bytes += event.weight();
                    page.events.push(event);
                    full = page.events.len() >= limit.events || bytes >= limit.bytes;
                    if full {
                        break;
                    }
                }
            }
            if full {
                break;
            }
            if is_last {
                at = at.max(until);
            }
        }
        page.next = at;
        Ok(page)
    }

    fn find(&self, id: &EventId) -> Finding {
        let state = lock(&self.engine.state);
        let earliest = state.events.iter().find(|event| event.id() == Some(id));
        let found = Ok(earliest.map(|event| event.position));
        Box::pin(std::future::ready(found))
    }

    fn ready(&self) -> Result<(), Unready> {
        if lock(&self.engine.state).unreachable.contains(&self.node) {
            return Err(Unready { reason: "the engine cannot be reached".to_owned() });
        }
        Ok(())
    }

    fn expire(&self, _: Timestamp) {
        let now = self.engine.environment.now();
        lock(&self.engine.state).expire(now);
    }
}

impl fmt::Debug for SharedEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedEngine").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
