//! Presence: which subscriptions are active at this node, and what is told of them.
//!
//! One task holds all of it and publishes what is told. What must hold: streams only leave a word with it and never
//! wait; whoever is listed before something is told of them is listed after; and what is told costs a bounded number
//! of writes a second, however many come and go at once. A hub that changes hands hands all of it over, before anything
//! more is told: of each subscription it is told once that it begins, and once that it ends, by whatever process.

mod record;

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_auth::PublishGrant;
use fanfare_delivery::Seat;
use fanfare_event::{Draft, EventType, Extras, Topic};
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_hub::Hub;
use fanfare_log::{AppendError, Appended, Batch, Environment as _, SystemEnvironment};
use fanfare_mercure::{ActiveSubscription, MercureSubscriberId, SubscriptionsPath, Update};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::cluster::QuestionHandler;
use crate::gate::Gate;
use crate::metrics::{MetricSource, Rows};

/// How often something is told, at most: ten writes a second, whatever happens.
const EVERY: Duration = Duration::from_millis(100);
/// How many subscriptions are told of at once: up to this many, and the rest of one subscriber's.
const AT_ONCE: usize = 256;
/// How many subscribers may wait until it is told that they have come. Of those beyond it, nothing is told.
const MAX_WAITING: usize = 65_536;
/// How long to wait before what was not accepted is told again.
const AGAIN: Duration = Duration::from_secs(1);
/// How many subscriptions one node lists, and in how many bytes.
const MAX_LISTED: (usize, usize) = (5_000, 1 << 20);

/// Which subscriptions are active at this node. A handle: cloning refers to the same.
#[derive(Debug, Clone)]
pub struct Presence {
    sender: mpsc::UnboundedSender<BoardMessage>,
    receiver: Arc<Mutex<Option<mpsc::UnboundedReceiver<BoardMessage>>>>,
    /// What the process before has handed over, until the task begins.
    succession: Arc<Mutex<Option<Succession>>>,
    counts: Arc<PresenceCounts>,
}

/// What the process before knew.
#[derive(Debug)]
struct Succession {
    board: Board,
    /// Whose streams go on here.
    here: HashSet<MercureSubscriberId>,
}

#[derive(Debug, Default)]
struct PresenceCounts {
    told: AtomicU64,
    untold: AtomicU64,
    active: AtomicU64,
}

/// What is said to the task. There is one word of each subscriber who comes, and one who goes: as many as have a seat
/// of their own; and one of each request that asks.
#[derive(Debug)]
enum BoardMessage {
    Came(MercureSubscriberId, Arc<[ActiveSubscription]>),
    Left(MercureSubscriberId),
    List(SubscriptionsPath, oneshot::Sender<ListedSubscriptions>),
    Settle(oneshot::Sender<()>),
    WriteDown(oneshot::Sender<Vec<u8>>),
}

/// Some subscriptions, as they are told of.
#[derive(Debug, Default)]
pub(super) struct ListedSubscriptions {
    pub(super) documents: Vec<Value>,
    /// Whether there are more than are listed.
    pub(super) more: bool,
}

impl Presence {
    /// Of nobody yet.
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        Self { sender, receiver, succession: Arc::default(), counts: Arc::default() }
    }

    /// Enters a subscriber, who is there until the seat is given back.
    pub(super) fn enter(&self, subscriptions: Arc<[ActiveSubscription]>) -> Seat {
        let chance = SystemEnvironment::new();
        let mut bits = [0; 16];
        for half in bits.chunks_exact_mut(8) {
            half.copy_from_slice(&chance.random().to_be_bytes());
        }
        let id = MercureSubscriberId::of(bits);
        // The task ends with the process; nobody needs to hear of anything then.
        let _ = self.sender.send(BoardMessage::Came(id, subscriptions));
        self.seat(id)
    }

    fn seat(&self, id: MercureSubscriberId) -> Seat {
        let sender = self.sender.clone();
        Seat::telling(id.bits(), move || drop(sender.send(BoardMessage::Left(id))))
    }

    /// All of it, for another process; `None` where that is the hub already. Of use only while nobody acts on the hub:
    /// nothing is being told then.
    pub async fn write_down(&self) -> Option<Vec<u8>> {
        let (reply, written) = oneshot::channel();
        let _ = self.sender.send(BoardMessage::WriteDown(reply));
        written.await.ok()
    }

    /// Takes in what another process has written down, before the task begins.
    ///
    /// # Errors
    ///
    /// It is not what [`Presence::write_down`] has written.
    pub fn restore(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let board = Board { counts: Arc::clone(&self.counts), ..Board::read(reader)? };
        self.counts.active.store(board.active.len() as u64, Ordering::Relaxed);
        *self.succession() = Some(Succession { board, here: HashSet::new() });
        Ok(())
    }

    /// Gives the stream of a subscriber who was there its seat again; `None` for one who was not.
    pub fn go_on(&self, name: u128) -> Option<Seat> {
        let id = MercureSubscriberId::of(name.to_be_bytes());
        let mut succession = self.succession();
        let Succession { board, here } = succession.as_mut()?;
        (board.active.contains_key(&id) && here.insert(id)).then(|| self.seat(id))
    }

    fn succession(&self) -> MutexGuard<'_, Option<Succession>> {
        self.succession.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of this is active here.
    pub(super) async fn list(&self, asked: SubscriptionsPath) -> ListedSubscriptions {
        let (reply, answer) = oneshot::channel();
        let _ = self.sender.send(BoardMessage::List(asked, reply));
        answer.await.unwrap_or_default()
    }

    /// Waits until all that is to be told is.
    pub async fn settle(&self) {
        let (reply, settled) = oneshot::channel();
        let _ = self.sender.send(BoardMessage::Settle(reply));
        let _ = settled.await;
    }

    /// Does what is asked here, and tells `hub` whenever its `gate` is open, until another process is the hub. To be
    /// called once.
    pub async fn keep(self, hub: Arc<Hub>, gate: Arc<Gate>) {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        let before = self.succession().take();
        let fresh = || Board { counts: Arc::clone(&self.counts), ..Board::default() };
        let mut board = before.map_or_else(fresh, Succession::into_board);
        let mut telling: Option<Telling> = None;
        let mut next = Instant::now();
        loop {
            let due = telling.is_none() && board.has_something();
            let at = if board.must_flush() { Instant::now() } else { next };
            tokio::select! {
                word = receiver.recv() => match word {
                    Some(word) => board.apply(word),
                    None => return,
                },
                outcome = of(&mut telling) => {
                    telling = None;
                    // What has moved to another process is there, and for it to tell.
                    let Some(outcome) = outcome else { return };
                    board.told(&outcome);
                    if let Err(error) = outcome {
                        tracing::warn!(%error, "nobody can be told of subscriptions; it is tried again");
                        next = Instant::now() + AGAIN;
                    }
                }
                () = sleep_until(at), if due => {
                    next = Instant::now() + EVERY;
                    telling = board.next().and_then(|drafts| publish(&hub, &gate, drafts));
                }
            }
            board.settle(telling.is_none());
        }
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

impl Succession {
    /// What is so here: whose stream could not move has left.
    fn into_board(self) -> Board {
        let Self { mut board, here } = self;
        let absent: Vec<_> =
            board.active.keys().filter(|id| !here.contains(*id)).copied().collect();
        absent.into_iter().for_each(|id| board.apply(BoardMessage::Left(id)));
        board
    }
}

/// Something that is being told; `None` comes of it where another process is the hub.
type Telling = Pin<Box<dyn Future<Output = Option<Result<Appended, AppendError>>> + Send>>;

/// What comes of what is being told; never, if nothing is.
async fn of(telling: &mut Option<Telling>) -> Option<Result<Appended, AppendError>> {
    match telling {
        Some(telling) => telling.await,
        None => pending().await,
    }
}

/// The hub itself may publish what nobody else may; not while it changes hands.
fn publish(hub: &Arc<Hub>, gate: &Arc<Gate>, drafts: Vec<Draft>) -> Option<Telling> {
    let drafts = PublishGrant::EVERYTHING.authorise(drafts).ok()?;
    let (hub, gate) = (Arc::clone(hub), Arc::clone(gate));
    Some(Box::pin(async move {
        let _inside = gate.enter().await.ok()?;
        Some(hub.publish(Batch { drafts: drafts.into_inner(), key: None }).await)
    }))
}

impl QuestionHandler for Presence {
    fn answer(&self, question: String) -> fanfare_auth::Pending<'static, Option<String>> {
        let this = self.clone();
        Box::pin(async move {
            let listed = this.list(SubscriptionsPath::parse(&question)?).await;
            Some(json!({"subscriptions": listed.documents, "more": listed.more}).to_string())
        })
    }
}

impl ListedSubscriptions {
    /// What another node has answered; nothing of what cannot be read.
    pub(super) fn read(answer: &str) -> Self {
        let Ok(mut answer) = serde_json::from_str::<Value>(answer) else { return Self::default() };
        let more = answer["more"] == Value::Bool(true);
        let Value::Array(documents) = answer["subscriptions"].take() else {
            return Self::default();
        };
        Self { documents, more }
    }

    /// Adds others, as far as there is room.
    pub(super) fn add(&mut self, others: Self) {
        let room = MAX_LISTED.0.saturating_sub(self.documents.len());
        self.more |= others.more || others.documents.len() > room;
        self.documents.extend(others.documents.into_iter().take(room));
    }
}

impl MetricSource for Presence {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> std::fmt::Result {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let PresenceCounts { told, untold, active } = &*self.counts;
        rows.gauge(
            "mercure_active_subscribers",
            "Subscribers of Mercure's protocol at this node",
            of(active),
        )?;
        rows.counter(
            "mercure_subscription_events",
            "Updates that told of subscriptions that began or ended",
            of(told),
        )?;
        rows.counter(
            "mercure_untold_subscriptions",
            "Subscriptions of which no update told, since too many came at once",
            of(untold),
        )
    }
}

/// What the task knows.
#[derive(Debug, Default)]
struct Board {
    active: HashMap<MercureSubscriberId, Active>,
    /// What is to be told, in order.
    waiting: VecDeque<PresenceChange>,
    /// What was told of last, until that is accepted.
    telling: Vec<Draft>,
    /// Whether it was not accepted, and is to be told again.
    failed: bool,
    settling: Vec<oneshot::Sender<()>>,
    counts: Arc<PresenceCounts>,
}

#[derive(Debug)]
struct Active {
    subscriptions: Arc<[ActiveSubscription]>,
    /// Whether it was told that they have begun.
    told: bool,
}

#[derive(Debug)]
enum PresenceChange {
    Came(MercureSubscriberId),
    Left(MercureSubscriberId, Arc<[ActiveSubscription]>),
}

impl Board {
    fn apply(&mut self, word: BoardMessage) {
        match word {
            BoardMessage::Came(id, subscriptions) => {
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.push_back(PresenceChange::Came(id));
                } else {
                    self.leave_untold(subscriptions.len());
                }
                self.active.insert(id, Active { subscriptions, told: false });
            }
            // Of whoever came and went before anything was told, nothing is.
            BoardMessage::Left(id) => {
                if let Some(Active { subscriptions, told: true }) = self.active.remove(&id) {
                    self.waiting.push_back(PresenceChange::Left(id, subscriptions));
                }
            }
            BoardMessage::List(asked, reply) => drop(reply.send(self.list(&asked))),
            BoardMessage::Settle(reply) => self.settling.push(reply),
            BoardMessage::WriteDown(reply) => {
                let mut writer = Writer::new();
                self.write(&mut writer);
                // Whoever asked may have given up.
                let _ = reply.send(writer.finish());
            }
        }
        self.counts.active.store(self.active.len() as u64, Ordering::Relaxed);
    }

    fn list(&self, asked: &SubscriptionsPath) -> ListedSubscriptions {
        let mut listed = ListedSubscriptions::default();
        let mut bytes = 0;
        let one = |id: MercureSubscriberId| self.active.get(&id).map(|active| (id, active));
        let (one, all) = match asked.subscriber() {
            Some(id) => (one(id), None),
            None => (None, Some(self.active.iter().map(|(id, active)| (*id, active)))),
        };
        for (id, active) in one.into_iter().chain(all.into_iter().flatten()) {
            for subscription in active.subscriptions.iter().filter(|it| asked.holds(id, it)) {
                if listed.documents.len() >= MAX_LISTED.0 || bytes > MAX_LISTED.1 {
                    listed.more = true;
                    return listed;
                }
                let document = asked.document(id, subscription);
                bytes += document.to_string().len();
                listed.documents.push(document);
            }
        }
        listed
    }

    fn has_something(&self) -> bool {
        self.failed || !self.waiting.is_empty()
    }

    /// Whether somebody waits until all is told.
    fn must_flush(&self) -> bool {
        !self.settling.is_empty() && !self.failed
    }

    /// What is to be told next.
    fn next(&mut self) -> Option<Vec<Draft>> {
        if !std::mem::take(&mut self.failed) {
            self.telling.clear();
            while self.telling.len() < AT_ONCE
                && let Some(change) = self.waiting.pop_front()
            {
                self.tell(change);
            }
        }
        (!self.telling.is_empty()).then(|| self.telling.clone())
    }

    fn tell(&mut self, change: PresenceChange) {
        let (id, subscriptions, begins) = match change {
            PresenceChange::Came(id) => {
                let Some(active) = self.active.get_mut(&id) else { return };
                active.told = true;
                (id, Arc::clone(&active.subscriptions), true)
            }
            PresenceChange::Left(id, subscriptions) => (id, subscriptions, false),
        };
        for subscription in subscriptions.iter() {
            match draft(subscription, id, begins) {
                Some(draft) => self.telling.push(draft),
                None => self.leave_untold(usize::from(begins)),
            }
        }
    }

    fn told(&mut self, outcome: &Result<Appended, AppendError>) {
        match outcome {
            Ok(appended) => {
                self.counts.told.fetch_add(appended.count as u64, Ordering::Relaxed);
                self.telling.clear();
            }
            Err(_) => self.failed = true,
        }
    }

    fn settle(&mut self, idle: bool) {
        if idle && !self.has_something() {
            for reply in self.settling.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    fn leave_untold(&self, subscriptions: usize) {
        self.counts.untold.fetch_add(subscriptions as u64, Ordering::Relaxed);
    }
}

/// What is told of a subscription; `None` if its address is no topic.
fn draft(
    subscription: &ActiveSubscription,
    id: MercureSubscriberId,
    active: bool,
) -> Option<Draft> {
    update_draft(subscription.topic(id).ok()?, subscription.document(id, active).to_string())
}

/// It is said where clients from before 1.0 listen too.
fn update_draft(topic: Topic, document: String) -> Option<Draft> {
    let older = SubscriptionsPath::parse(topic.as_str())?.older().topic().ok()?;
    Some(Draft {
        event_type: EventType::parse(Update::RESERVED_TYPE).ok(),
        message: document.into(),
        extras: Extras::new(&topic, [older], true, None).ok()?,
        topic,
    })
}

#[cfg(test)]
mod tests {
    use fanfare_mercure::MatcherType;

    use super::*;

    pub(super) fn id(n: u8) -> MercureSubscriberId {
        MercureSubscriberId::of([n; 16])
    }

    pub(super) fn came(n: u8, matchers: usize) -> BoardMessage {
        let subscription = |m: usize| ActiveSubscription {
            kind: MatcherType::Exact,
            matcher: format!("{n}/{m}").into(),
            payload: None,
        };
        BoardMessage::Came(id(n), (0..matchers).map(subscription).collect())
    }

    pub(super) fn of(drafts: &[Draft]) -> Vec<(String, bool)> {
        let read = |draft: &Draft| {
            let document: Value = serde_json::from_str(&draft.message).unwrap();
            (document["match"].as_str().unwrap().to_owned(), document["active"] == true)
        };
        drafts.iter().map(read).collect()
    }

    fn accepted(board: &mut Board) {
        let (first, count) = (fanfare_event::Position::new(1, 1), board.telling.len());
        let durability = fanfare_log::Durability::Memory;
        board.told(&Ok(Appended { first, count, repeated: false, durability }));
    }

    #[test]
    fn a_crowd_that_comes_at_once_is_written_together() {
        let mut board = Board::default();
        for n in 0..200 {
            board.apply(came(n, 3));
        }
        let mut batches = Vec::new();
        while let Some(batch) = board.next() {
            batches.push(batch.len());
            accepted(&mut board);
        }
        assert_eq!(batches, [258, 258, 84], "600 subscriptions in three writes");
        assert_eq!(board.counts.told.load(Ordering::Relaxed), 600);
    }

    #[test]
    fn whoever_has_gone_before_it_was_told_is_not_told_of() {
        let mut board = Board::default();
        board.apply(came(1, 1));
        board.apply(came(2, 1));
        board.apply(BoardMessage::Left(id(1)));
        assert_eq!(of(&board.next().unwrap()), [("2/0".to_owned(), true)]);
        accepted(&mut board);
        board.apply(BoardMessage::Left(id(2)));
        assert_eq!(of(&board.next().unwrap()), [("2/0".to_owned(), false)]);
        accepted(&mut board);
        assert!(board.next().is_none() && !board.has_something());
    }

    #[tokio::test]
    async fn whoever_moved_stays_and_whoever_did_not_has_left() {
        let mut board = Board::default();
        board.apply(came(1, 1));
        board.apply(came(2, 1));
        board.next().unwrap();
        accepted(&mut board);
        board.apply(came(3, 1));
        let mut writer = Writer::new();
        board.write(&mut writer);
        let presence = Presence::new();
        assert!(presence.go_on(id(1).bits()).is_none(), "nobody was here");
        presence.restore(&mut Reader::new(&writer.finish())).unwrap();
        let seat = presence.go_on(id(1).bits()).unwrap();
        assert!(presence.go_on(id(1).bits()).is_none(), "one stream of one subscriber");
        assert!(presence.go_on(id(9).bits()).is_none(), "whoever was not there is not listed");
        let mut board = presence.succession().take().unwrap().into_board();
        assert_eq!(of(&board.next().unwrap()), [("2/0".to_owned(), false)]);
        accepted(&mut board);
        assert!(!board.has_something() || board.next().is_none(), "of the third nothing was told");
        drop(seat);
        let word = presence.receiver.lock().unwrap().as_mut().unwrap().try_recv().unwrap();
        board.apply(word);
        assert_eq!(of(&board.next().unwrap()), [("1/0".to_owned(), false)]);
        assert!(board.active.is_empty());
    }

    #[test]
    fn what_was_not_accepted_is_not_lost() {
        let mut board = Board::default();
        board.apply(came(1, 1));
        let first = board.next().unwrap();
        board.told(&Err(AppendError::Full { source: "x".into() }));
        board.apply(came(2, 1));
        assert_eq!(board.next().unwrap(), first);
        accepted(&mut board);
        assert_eq!(of(&board.next().unwrap()), [("2/0".to_owned(), true)]);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut board = Board::default();
        for _ in 0..MAX_WAITING {
            board.waiting.push_back(PresenceChange::Came(id(0)));
        }
        board.apply(came(1, 2));
        assert_eq!(board.waiting.len(), MAX_WAITING);
        assert_eq!(board.counts.untold.load(Ordering::Relaxed), 2);
        board.apply(BoardMessage::Left(id(1)));
        assert_eq!(board.waiting.len(), MAX_WAITING, "nor is its end told of");
        assert!(board.list(&SubscriptionsPath::All).documents.is_empty());
    }

    #[test]
    fn no_list_is_as_long_as_there_are_subscribers() {
        let mut board = Board::default();
        for n in 0..=255 {
            board.apply(came(n, 20));
        }
        let listed = board.list(&SubscriptionsPath::All);
        assert!(listed.more && listed.documents.len() <= MAX_LISTED.0);
        let one = SubscriptionsPath::One(MatcherType::Exact, "7/3".to_owned(), id(7));
        let listed = board.list(&one);
        assert_eq!((listed.documents.len(), listed.more), (1, false));
    }
}
