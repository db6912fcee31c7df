//! What was acknowledged, what a tail heard, and whether the two agree.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use fanfare_event::{Draft, Event, EventId, Extras, Position, Topic};
use fanfare_log::{AppendError, Batch, EpochStatus, EventLog, IdempotencyKey, Lineage, Tail};
use fanfare_redis::{ConnectError, Namespace, RedisLog, RedisSettings};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};

/// How long a condition may take before the test fails.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What a tail was told, in order.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Begin(Lineage, Position),
    Events(Vec<Arc<Event>>),
    Trim(Position),
}

/// A tail that writes down what it is told.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Told>>, Mutex<Option<Position>>);

impl Tail for Recorder {
    fn begin(&self, lineage: &Lineage, at: Position) {
        self.0.lock().unwrap().push(Told::Begin(lineage.clone(), at));
    }

    fn append(&self, events: &[Arc<Event>]) {
        self.0.lock().unwrap().push(Told::Events(events.to_vec()));
    }

    fn trim(&self, through: Position) {
        self.0.lock().unwrap().push(Told::Trim(through));
    }

    fn wake(&self) {
        *self.1.lock().unwrap() = Some(self.heard());
    }
}

impl Recorder {
    pub(crate) fn told(&self) -> Vec<Told> {
        self.0.lock().unwrap().clone()
    }

    /// The last position heard of.
    pub(crate) fn heard(&self) -> Position {
        let told = self.0.lock().unwrap();
        let position = told.iter().rev().find_map(|told| match told {
            Told::Begin(_, at) => Some(*at),
            Told::Events(events) => events.last().map(|event| event.position),
            Told::Trim(_) => None,
        });
        position.unwrap()
    }

    /// What it had heard of when it was woken last.
    pub(crate) fn woken(&self) -> Option<Position> {
        *self.1.lock().unwrap()
    }

    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        let told = self.told().into_iter();
        told.filter_map(|told| if let Told::Events(events) = told { Some(events) } else { None })
            .flatten()
            .collect()
    }

    pub(crate) fn begins(&self) -> Vec<(Lineage, Position)> {
        let told = self.told().into_iter();
        told.filter_map(|told| if let Told::Begin(l, at) = told { Some((l, at)) } else { None })
            .collect()
    }

    pub(crate) fn trimmed(&self) -> Position {
        let told = self.told().into_iter();
        let trims = told.filter_map(|told| if let Told::Trim(at) = told { Some(at) } else { None });
        trims.last().unwrap_or(Position::ORIGIN)
    }
}

/// One node: a log and what its tail heard.
pub(crate) struct Node {
    pub(crate) log: Arc<RedisLog>,
    pub(crate) tail: Arc<Recorder>,
}

/// Settings with deadlines short enough for a test, long enough for a busy machine.
pub(crate) fn settings(url: &str) -> RedisSettings {
    let mut settings = RedisSettings::new(url.parse().unwrap(), Namespace::parse("test").unwrap());
    settings.response_timeout = Duration::from_secs(2);
    settings.publish_deadline = Duration::from_secs(2);
    settings.read_deadline = Duration::from_secs(20);
    settings
}

impl Node {
    pub(crate) async fn connect(url: &str) -> Self {
        Self::with(settings(url)).await
    }

    pub(crate) async fn with(settings: RedisSettings) -> Self {
        let begun = Instant::now();
        loop {
            let tail = Arc::new(Recorder::default());
            match RedisLog::connect(settings.clone(), tail.clone()).await {
                Ok(log) => return Self { log, tail },
                // A busy machine may be slower for a moment than the settings allow.
                Err(ConnectError::Silent { .. }) if begun.elapsed() < TEST_TIMEOUT => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) async fn ready(&self) {
        until("the node is ready", || self.log.ready().is_ok()).await;
    }

    /// Waits until its connection for publishing has measured the log, which it does soon after it
    /// was opened and sends nothing meanwhile. For seconds from now on, or until 64 more events have
    /// come, what is published is sent at once.
    pub(crate) async fn is_free(&self) {
        until("the log is measured", || self.log.size().is_some()).await;
    }

    pub(crate) async fn heard(&self, position: Position) {
        until(&format!("{position} is heard"), || self.tail.heard() >= position).await;
    }
}

/// Waits for a condition, for a while.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TEST_TIMEOUT, "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn draft(topic: &str, message: impl Into<Box<str>>) -> Draft {
    Draft {
        topic: Topic::parse(topic).unwrap(),
        event_type: None,
        message: message.into(),
        extras: None,
    }
}

/// The same with an id that its publisher chose.
pub(crate) fn named(topic: &str, message: impl Into<Box<str>>, id: &str) -> Draft {
    let draft = draft(topic, message);
    let extras = Extras::new(&draft.topic, [], false, Some(EventId::parse(id).unwrap())).unwrap();
    Draft { extras, ..draft }
}

pub(crate) fn batch(drafts: Vec<Draft>) -> Batch {
    Batch { drafts, key: None }
}

pub(crate) fn keyed(drafts: Vec<Draft>, key: &str) -> Batch {
    Batch { drafts, key: Some(IdempotencyKey::parse(key).unwrap()) }
}

/// What was acknowledged: position, topic and message.
#[derive(Default, Clone)]
pub(crate) struct Ledger(Arc<Mutex<BTreeMap<Position, (String, String)>>>);

impl Ledger {
    /// Publishes, and enters what is acknowledged.
    pub(crate) async fn publish(
        &self,
        log: &RedisLog,
        topic: &str,
        messages: &[String],
    ) -> Result<Position, AppendError> {
        // The first of each has an id, which later ones have again.
        let named = |m: &String| named(topic, m.as_str(), m.get(..m.len().min(16)).unwrap());
        let first = messages.iter().take(1).map(named);
        let rest = messages.iter().skip(1).map(|m| draft(topic, m.as_str()));
        let drafts = first.chain(rest).collect();
        let appended = log.append(batch(drafts)).await?;
        assert_eq!(appended.count, messages.len());
        let mut entries = self.0.lock().unwrap();
        for (position, message) in appended.positions().zip(messages) {
            let twice = entries.insert(position, (topic.to_owned(), message.clone()));
            assert!(twice.is_none(), "{position} was given out twice");
        }
        Ok(appended.first)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Position {
        *self.0.lock().unwrap().last_key_value().unwrap().0
    }

    /// Publishes without a pause until told to stop, on one topic, in order.
    pub(crate) fn load(&self, log: &Arc<RedisLog>, topic: &'static str) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (ledger, log, stopped) = (self.clone(), log.clone(), stop.clone());
        let task = tokio::spawn(async move {
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                // Every third is a batch.
                let size = if n % 3 == 0 { 4 } else { 1 };
                let messages: Vec<_> = (0..size).map(|part| format!("{n}.{part}")).collect();
                if ledger.publish(&log, topic, &messages).await.is_err() {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        });
        Load { stop, task }
    }

    /// Everything acknowledged since the tail began was delivered, in order and once, or what the
    /// tail was told by `begin` says that it was lost.
    pub(crate) fn judge(&self, tail: &Recorder) {
        let mut delivered = BTreeMap::new();
        let mut breaks = Vec::new();
        let mut order: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let (mut heard, mut start) = (None, Position::ORIGIN);
        for told in tail.told() {
            match told {
                Told::Begin(lineage, at) => {
                    assert_eq!(lineage.current(), at.epoch);
                    match heard {
                        None => start = at,
                        Some(heard) => breaks.push((heard, at, lineage)),
                    }
                    heard = Some(at);
                }
                Told::Events(events) => {
                    for event in events {
                        assert_eq!(heard.map(Position::next), Some(event.position));
                        heard = Some(event.position);
                        let (n, part) = event.message.split_once('.').unwrap();
                        let at = (n.parse::<u64>().unwrap(), part.parse::<u64>().unwrap());
                        let before = order.insert(event.topic.to_string(), at);
                        assert!(before.is_none_or(|before| before < at), "{event:?} out of order");
                        delivered.insert(event.position, event);
                    }
                }
                Told::Trim(through) => assert!(Some(through) <= heard),
            }
        }
        let covered = |position: Position| {
            breaks.iter().any(|(before, at, lineage)| {
                let skipped = position > *before && position <= *at;
                let lost = match lineage.epoch_status(position.epoch) {
                    EpochStatus::Current => false,
                    EpochStatus::EndedAt(end) => position > end,
                    EpochStatus::Unknown => true,
                };
                (skipped || lost) && !lineage.continuous(*before, *at)
            })
        };
        for (position, (topic, message)) in self.0.lock().unwrap().iter() {
            match delivered.get(position) {
                _ if *position <= start => {}
                Some(event) => {
                    assert_eq!((event.topic.as_str(), &*event.message), (&**topic, &**message));
                }
                None => assert!(covered(*position), "{position} was lost in silence"),
            }
        }
    }
}

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Load {
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}
