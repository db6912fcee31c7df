//! Presence: which subscriptions are active at this node, and what is told of them.
//!
//! One task holds all of it and publishes what is told. What must hold: streams only leave a word with it and never
//! wait; whoever is listed before something is told of them is listed after; and what is told costs a bounded number
//! of writes a second, however many come and go at once. A hub that changes hands hands all of it over, before anything
//! more is told: of each subscription it is told once that it begins, and once that it ends, by whatever process.

mod board;
mod listed;
mod record;

use std::collections::HashSet;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_auth::{PublishGrant, digest_of};
use fanfare_delivery::Seat;
use fanfare_event::Draft;
use fanfare_handover::{Malformed, Reader};
use fanfare_hub::Hub;
use fanfare_log::{
    AppendError, Appended, Batch, Environment as _, IdempotencyKey, SystemEnvironment,
};
use fanfare_mercure::{ActiveSubscription, MercureSubscriberId, SubscriptionsPath};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use self::board::{Board, BoardMessage, PresenceCounts};
pub(super) use self::listed::{ListedSubscriptions, question};
use crate::cluster::QuestionHandler;
use crate::gate::Gate;
use crate::metrics::{MetricSource, Rows};

/// How often something is told, at most: ten writes a second, whatever happens.
const EVERY: Duration = Duration::from_millis(100);
/// How long to wait before what was not accepted is told again.
const AGAIN: Duration = Duration::from_secs(1);

/// Which subscriptions are active at this node. A handle: cloning refers to the same.
#[derive(Debug, Clone)]
pub struct Presence {
    sender: mpsc::UnboundedSender<BoardMessage>,
    receiver: Arc<Mutex<Option<mpsc::UnboundedReceiver<BoardMessage>>>>,
    /// What the process before has handed over, until the task begins.
    handed_over: Arc<Mutex<Option<HandedOverPresence>>>,
    counts: Arc<PresenceCounts>,
}

/// What the process before knew.
#[derive(Debug)]
struct HandedOverPresence {
    board: Board,
    /// Whose streams go on here.
    here: HashSet<MercureSubscriberId>,
}

impl Presence {
    /// Of nobody yet.
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        Self { sender, receiver, handed_over: Arc::default(), counts: Arc::default() }
    }

    /// Enters a subscriber, who is there until the seat is given back, whether or not anything is to be told of it.
    pub(super) fn enter(&self, subscriptions: Arc<[ActiveSubscription]>, told: bool) -> Seat {
        let chance = SystemEnvironment::new();
        let mut bits = [0; 16];
        for half in bits.chunks_exact_mut(8) {
            half.copy_from_slice(&chance.random().to_be_bytes());
        }
        let id = MercureSubscriberId::of(bits);
        // The task ends with the process; nobody needs to hear of anything then.
        let came = if told { BoardMessage::Joined } else { BoardMessage::JoinedUnannounced };
        let _ = self.sender.send(came(id, subscriptions));
        self.seat(id)
    }

    fn seat(&self, id: MercureSubscriberId) -> Seat {
        let sender = self.sender.clone();
        Seat::with_release_hook(id.bits(), move || drop(sender.send(BoardMessage::Left(id))))
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
        *self.handed_over() = Some(HandedOverPresence { board, here: HashSet::new() });
        Ok(())
    }

    /// Gives the stream of a subscriber who was there its seat again; `None` for one who was not.
    pub fn resume(&self, name: u128) -> Option<Seat> {
        let id = MercureSubscriberId::of(name.to_be_bytes());
        let mut handed_over = self.handed_over();
        let HandedOverPresence { board, here } = handed_over.as_mut()?;
        (board.active.contains_key(&id) && here.insert(id)).then(|| self.seat(id))
    }

    fn handed_over(&self) -> MutexGuard<'_, Option<HandedOverPresence>> {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of each of these is active here.
    pub(super) async fn list(&self, asked: Vec<SubscriptionsPath>) -> Vec<ListedSubscriptions> {
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
        let before = self.handed_over().take();
        let fresh = || Board { counts: Arc::clone(&self.counts), ..Board::default() };
        let mut board = before.map_or_else(fresh, HandedOverPresence::into_board);
        let mut telling: Option<Telling> = None;
        let mut next = Instant::now();
        loop {
            let due = telling.is_none() && board.has_something();
            let at = if board.must_flush() { Instant::now() } else { next };
            tokio::select! {
                message = receiver.recv() => match message {
                    Some(message) => board.apply(message),
                    None => return,
                },
                outcome = of(&mut telling) => {
                    telling = None;
                    // What has moved to another process is there, and for it to tell.
                    let Some(outcome) = outcome else { return };
                    board.told(&outcome);
                    if let Err(error) = outcome {
                        tracing::warn!(%error, "subscription updates could not be published; retrying");
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

impl HandedOverPresence {
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
        let (key, drafts) = (Some(key_of(&drafts)), drafts.into_inner());
        match hub.publish(Batch { drafts: drafts.clone(), key }).await {
            // Publishers have all the room for keys. Nothing of it was kept.
            Err(AppendError::TooManyKeys { .. }) => {
                Some(hub.publish(Batch { drafts, key: None }).await)
            }
            outcome => Some(outcome),
        }
    }))
}

/// By which what was accepted, though the answer was lost, is known when it is told again, by whatever process. A
/// subscriber has a name of its own, so no two batches say the same.
fn key_of(drafts: &[Draft]) -> IdempotencyKey {
    let parts = || drafts.iter().flat_map(|draft| [draft.topic.as_str(), &*draft.message]);
    let content = digest_of(b'd', parts());
    IdempotencyKey::of(digest_of(b'o', ["presence"]), content, content)
}

impl QuestionHandler for Presence {
    fn answer(&self, question: String) -> fanfare_auth::Pending<'static, Option<String>> {
        let this = self.clone();
        Box::pin(async move {
            Some(ListedSubscriptions::write_all(this.list(listed::asked(&question)?).await))
        })
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
            "Subscriptions not announced, because too many began at once or from one address",
            of(untold),
        )
    }
}

#[cfg(test)]
mod tests {
    use fanfare_handover::Writer;
    use fanfare_hub::{Window, WindowBounds};
    use fanfare_log::{Retention, Tail};
    use fanfare_memory::{MemoryLog, MemorySettings};

    use super::board::tests::{accepted, came, id, of};
    use super::*;

    /// With room for one idempotency key.
    fn hub() -> Arc<Hub> {
        let hour = Duration::from_secs(3600);
        let retention = Retention { count: 100, bytes: 1 << 20, age: hour };
        let bounds = WindowBounds { count: 100, bytes: 1 << 20 };
        let window = Arc::new(Window::new(bounds, retention));
        let settings = MemorySettings { retention, key_window: hour, key_capacity: 1 };
        let log = MemoryLog::open(settings, Arc::clone(&window) as Arc<dyn Tail>);
        Arc::new(Hub::new(window, log))
    }

    #[tokio::test]
    async fn what_was_accepted_unanswered_is_told_once() {
        let (hub, gate, mut board) = (hub(), Gate::new(), Board::default());
        let tell = async |drafts| publish(&hub, &gate, drafts).unwrap().await.unwrap().unwrap();
        board.apply(came(1, 2));
        let first = tell(board.next().unwrap()).await;
        assert!(!first.repeated);
        // The answer is lost, and another process goes on with the hub.
        let mut writer = Writer::new();
        board.write(&mut writer);
        let mut board = Board::read(&mut Reader::new(&writer.finish())).unwrap();
        let again = tell(board.next().unwrap()).await;
        assert_eq!((again.repeated, again.first, again.count), (true, first.first, 2));
        board.told(&Ok(again));
        board.apply(came(2, 1));
        let other = tell(board.next().unwrap()).await;
        assert!(!other.repeated, "where there is no room for a key, without one");
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
        assert!(presence.resume(id(1).bits()).is_none(), "nobody was here");
        presence.restore(&mut Reader::new(&writer.finish())).unwrap();
        let seat = presence.resume(id(1).bits()).unwrap();
        assert!(presence.resume(id(1).bits()).is_none(), "one stream of one subscriber");
        assert!(presence.resume(id(9).bits()).is_none(), "whoever was not there is not listed");
        let mut board = presence.handed_over().take().unwrap().into_board();
        assert_eq!(of(&board.next().unwrap()), [("2/0".to_owned(), false)]);
        accepted(&mut board);
        assert!(!board.has_something() || board.next().is_none(), "of the third nothing was told");
        drop(seat);
        let word = presence.receiver.lock().unwrap().as_mut().unwrap().try_recv().unwrap();
        board.apply(word);
        assert_eq!(of(&board.next().unwrap()), [("1/0".to_owned(), false)]);
        assert!(board.active.is_empty());
    }
}
