//! The board: who is subscribed at this node, and what is still to be told of it.
//!
//! What must hold: of a subscription it is told once that it begins and once that it ends, in that order; what was not
//! accepted is told again, as it was; and no more changes wait than [`MAX_WAITING`] and the ends of what was told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_event::{Draft, EventType, Extras, Topic};
use fanfare_handover::Writer;
use fanfare_log::{AppendError, Appended};
use fanfare_mercure::{ActiveSubscription, MercureSubscriberId, SubscriptionsPath, Update};
use tokio::sync::oneshot;

use super::listed::{ListedSubscriptions, MAX_ANSWER, MAX_LISTED};

/// How many subscriptions are told of at once: up to this many, and the rest of one subscriber's.
const AT_ONCE: usize = 256;
/// How many subscribers may wait until it is told that they have come. Of those beyond it, nothing is told.
pub(super) const MAX_WAITING: usize = 65_536;

/// A message to the board. Each subscriber sends one when it joins and one when it leaves, so there are at most two for
/// each seat; and each request that asks sends one.
#[derive(Debug)]
pub(super) enum BoardMessage {
    Joined(MercureSubscriberId, Arc<[ActiveSubscription]>),
    /// The same, of whose address too much has been told.
    JoinedUnannounced(MercureSubscriberId, Arc<[ActiveSubscription]>),
    Left(MercureSubscriberId),
    List(Vec<SubscriptionsPath>, oneshot::Sender<Vec<ListedSubscriptions>>),
    Settle(oneshot::Sender<()>),
    WriteDown(oneshot::Sender<Vec<u8>>),
}

#[derive(Debug, Default)]
pub(super) struct PresenceCounts {
    pub(super) told: AtomicU64,
    pub(super) untold: AtomicU64,
    pub(super) active: AtomicU64,
}

/// What the task knows.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) active: HashMap<MercureSubscriberId, Active>,
    /// What is to be told, in order.
    pub(super) waiting: VecDeque<PresenceChange>,
    /// What was told of last, until that is accepted.
    pub(super) telling: Vec<Draft>,
    /// Whether it was not accepted, and is to be told again.
    pub(super) failed: bool,
    pub(super) settling: Vec<oneshot::Sender<()>>,
    pub(super) counts: Arc<PresenceCounts>,
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) subscriptions: Arc<[ActiveSubscription]>,
    /// Whether it was told that they have begun.
    pub(super) told: bool,
}

#[derive(Debug)]
pub(super) enum PresenceChange {
    Joined(MercureSubscriberId),
    Left(MercureSubscriberId, Arc<[ActiveSubscription]>),
}

impl Board {
    pub(super) fn apply(&mut self, word: BoardMessage) {
        match word {
            BoardMessage::Joined(id, subscriptions) => {
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.push_back(PresenceChange::Joined(id));
                } else {
                    self.skip_announcement(subscriptions.len());
                }
                self.active.insert(id, Active { subscriptions, told: false });
            }
            BoardMessage::JoinedUnannounced(id, subscriptions) => {
                self.skip_announcement(subscriptions.len());
                self.active.insert(id, Active { subscriptions, told: false });
            }
            // Of whoever came and went before anything was told, nothing is.
            BoardMessage::Left(id) => {
                if let Some(Active { subscriptions, told: true }) = self.active.remove(&id) {
                    self.waiting.push_back(PresenceChange::Left(id, subscriptions));
                }
            }
            BoardMessage::List(asked, reply) => {
                let mut room = MAX_ANSWER;
                let listed = asked.iter().map(|path| self.list(path, &mut room)).collect();
                // Whoever asked may have given up.
                let _ = reply.send(listed);
            }
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

    /// What is there, as far as there is `room` for it, which it takes.
    fn list(&self, asked: &SubscriptionsPath, room: &mut usize) -> ListedSubscriptions {
        let mut listed = ListedSubscriptions::default();
        let mut bytes = 0;
        let one = |id: MercureSubscriberId| self.active.get(&id).map(|active| (id, active));
        let (one, all) = match asked.subscriber() {
            Some(id) => (one(id), None),
            None => (None, Some(self.active.iter().map(|(id, active)| (*id, active)))),
        };
        for (id, active) in one.into_iter().chain(all.into_iter().flatten()) {
            for subscription in active.subscriptions.iter().filter(|it| asked.holds(id, it)) {
                let is_long = listed.documents.len() >= MAX_LISTED.0 || bytes > MAX_LISTED.1;
                if is_long || *room == 0 {
                    listed.more = true;
                    return listed;
                }
                let document = asked.document(id, subscription);
                let length = document.to_string().len();
                bytes += length;
                *room = room.saturating_sub(length);
                listed.documents.push(document);
            }
        }
        listed
    }

    pub(super) fn has_something(&self) -> bool {
        self.failed || !self.waiting.is_empty()
    }

    /// Whether somebody waits until all is told.
    pub(super) fn must_flush(&self) -> bool {
        !self.settling.is_empty() && !self.failed
    }

    /// What is to be told next.
    pub(super) fn next(&mut self) -> Option<Vec<Draft>> {
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
            PresenceChange::Joined(id) => {
                let Some(active) = self.active.get_mut(&id) else { return };
                active.told = true;
                (id, Arc::clone(&active.subscriptions), true)
            }
            PresenceChange::Left(id, subscriptions) => (id, subscriptions, false),
        };
        for subscription in subscriptions.iter() {
            match draft(subscription, id, begins) {
                Some(draft) => self.telling.push(draft),
                None => self.skip_announcement(usize::from(begins)),
            }
        }
    }

    pub(super) fn told(&mut self, outcome: &Result<Appended, AppendError>) {
        match outcome {
            Ok(appended) => {
                self.counts.told.fetch_add(appended.count as u64, Ordering::Relaxed);
                self.telling.clear();
            }
            Err(_) => self.failed = true,
        }
    }

    pub(super) fn settle(&mut self, idle: bool) {
        if idle && !self.has_something() {
            for reply in self.settling.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    fn skip_announcement(&self, subscriptions: usize) {
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
pub(super) fn update_draft(topic: Topic, document: String) -> Option<Draft> {
    let older = SubscriptionsPath::parse(topic.as_str())?.older().topic().ok()?;
    Some(Draft {
        event_type: EventType::parse(Update::RESERVED_TYPE).ok(),
        message: document.into(),
        extras: Extras::new(&topic, [older], true, None).ok()?,
        topic,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use fanfare_mercure::MatcherType;
    use serde_json::Value;

    use super::*;

    pub(in super::super) fn id(n: u8) -> MercureSubscriberId {
        MercureSubscriberId::of([n; 16])
    }

    pub(in super::super) fn came(n: u8, matchers: usize) -> BoardMessage {
        let subscription = |m: usize| ActiveSubscription {
            kind: MatcherType::Exact,
            matcher: format!("{n}/{m}").into(),
            payload: None,
        };
        BoardMessage::Joined(id(n), (0..matchers).map(subscription).collect())
    }

    pub(in super::super) fn of(drafts: &[Draft]) -> Vec<(String, bool)> {
        let read = |draft: &Draft| {
            let document: Value = serde_json::from_str(&draft.message).unwrap();
            (document["match"].as_str().unwrap().to_owned(), document["active"] == true)
        };
        drafts.iter().map(read).collect()
    }

    fn listed(board: &Board, asked: &SubscriptionsPath) -> ListedSubscriptions {
        board.list(asked, &mut MAX_ANSWER.clone())
    }

    pub(in super::super) fn accepted(board: &mut Board) {
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
            board.waiting.push_back(PresenceChange::Joined(id(0)));
        }
        board.apply(came(1, 2));
        assert_eq!(board.waiting.len(), MAX_WAITING);
        assert_eq!(board.counts.untold.load(Ordering::Relaxed), 2);
        board.apply(BoardMessage::Left(id(1)));
        assert_eq!(board.waiting.len(), MAX_WAITING, "nor is its end told of");
        assert!(listed(&board, &SubscriptionsPath::All).documents.is_empty());
    }

    #[test]
    fn no_list_is_as_long_as_there_are_subscribers() {
        let mut board = Board::default();
        for n in 0..=255 {
            board.apply(came(n, 20));
        }
        let all = listed(&board, &SubscriptionsPath::All);
        assert!(all.more && all.documents.len() <= MAX_LISTED.0);
        let one = SubscriptionsPath::One(MatcherType::Exact, "7/3".to_owned(), id(7));
        let found = listed(&board, &one);
        assert_eq!((found.documents.len(), found.more), (1, false));
        let (reply, mut answers) = oneshot::channel();
        board.apply(BoardMessage::List(vec![SubscriptionsPath::All; 16], reply));
        let answers = answers.try_recv().unwrap();
        let bytes = |all: &ListedSubscriptions| -> usize {
            all.documents.iter().map(|document| document.to_string().len()).sum()
        };
        assert!(answers.iter().map(bytes).sum::<usize>() < MAX_ANSWER + 1000);
        assert!(answers.iter().all(|all| all.more), "nor is anything said to be all");
    }
}
