//! Those who publish: what they send, send again, and are told.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use fanfare_event::{Draft, EventId, EventType, Extras, Topic};
use fanfare_log::{AppendError, Batch, IdempotencyKey};

use super::World;
use crate::judge::{JudgedId, SentMessage};
use crate::lock::lock;
use crate::plan::{HistoryStep, KEY_WINDOW, TOPICS};

impl World {
    pub(super) fn publish(&self, step: &HistoryStep) {
        let HistoryStep::Publish { node, topic, count, typed, size, keyed, private } = *step else {
            return;
        };
        let Some(it) = self.node(node) else { return };
        let (batch, messages) = {
            let mut ledger = lock(&self.ledger);
            let message = |n: usize| SentMessage {
                topics: topics_of(topic + n, ledger.next_number(n)),
                id: id_of(ledger.next_number(n)),
                event_type: (typed && n.is_multiple_of(2)).then(|| "typed".to_owned()),
                text: ledger.next_text(n) + &"x\n".repeat(size / 60) + &"y\"".repeat(size / 3),
                is_private: private,
            };
            let messages: Vec<_> = (0..count).map(message).collect();
            (ledger.published(messages.clone()), messages)
        };
        let key = keyed.then(|| format!("key {batch}"));
        if let Some(key) = &key {
            lock(&self.keyed).push((batch, key.clone(), *lock(&self.keys_aged)));
        }
        let appending = it.hub.publish(batch_of(messages, key.as_deref()));
        lock(&self.pending).push((batch, node, appending));
        // Every other one finds the shards at rest.
        if batch.is_multiple_of(2) {
            it.short_turns();
        }
    }

    pub(super) fn repeat(&self, node: usize, nth: usize) {
        let Some(it) = self.node(node) else { return };
        let passed = *lock(&self.keys_aged);
        let keyed = lock(&self.keyed).clone();
        let mut valid = keyed.iter().rev().filter(|(.., at)| passed - *at < KEY_WINDOW / 2);
        let found = valid.clone().nth(nth).or_else(|| valid.next()).cloned();
        let Some((batch, key, _)) = found else { return };
        let messages = {
            let mut ledger = lock(&self.ledger);
            ledger.repeated(batch);
            ledger.messages(batch)
        };
        let appending = it.hub.publish(batch_of(messages, Some(&key)));
        lock(&self.pending).push((batch, node, appending));
    }

    /// Tells publishers what has become of what they sent.
    pub(super) fn answer(&self) {
        let mut context = Context::from_waker(Waker::noop());
        let pending = std::mem::take(&mut *lock(&self.pending));
        for (batch, node, mut appending) in pending {
            let Poll::Ready(answer) = Pin::new(&mut appending).poll(&mut context) else {
                lock(&self.pending).push((batch, node, appending));
                continue;
            };
            lock(&self.trace).note(|| format!("  batch {batch}: {answer:?}"));
            let mut ledger = lock(&self.ledger);
            match answer {
                Ok(appended) => {
                    let first = JudgedId { epoch: appended.first.epoch, seq: appended.first.seq };
                    ledger.accepted(batch, first, appended.count);
                }
                Err(AppendError::OutcomeUnknown { .. }) => ledger.unanswered(batch),
                Err(_) => ledger.refused(batch),
            }
        }
    }
}

/// Now and then an event has another topic beside its own. Which, its number says: nothing is drawn for it.
fn topics_of(first: usize, number: usize) -> Vec<String> {
    let other = number.is_multiple_of(5).then_some(first + 1 + number / 5 % (TOPICS.len() - 1));
    let all = [first].into_iter().chain(other);
    all.map(|topic| TOPICS[topic % TOPICS.len()].to_owned()).collect()
}

/// Now and then it has an id, which later ones have again.
fn id_of(number: usize) -> Option<String> {
    number.is_multiple_of(3).then(|| format!("urn:{}", number / 3 % 7))
}

fn batch_of(messages: Vec<SentMessage>, key: Option<&str>) -> Batch {
    let draft = |SentMessage { topics, id, event_type, text, is_private }: SentMessage| {
        let mut topics = topics.iter().map(|topic| Topic::parse(topic).expect("a topic"));
        let topic = topics.next().expect("it has one");
        let id = id.map(|id| EventId::parse(&id).expect("an id"));
        let extras = Extras::new(&topic, topics, is_private, id).expect("few topics");
        let event_type = event_type.map(|text| EventType::parse(&text).expect("an event type"));
        Draft { topic, event_type, message: text.into(), extras }
    };
    Batch {
        drafts: messages.into_iter().map(draft).collect(),
        key: key.map(|key| IdempotencyKey::parse(key).expect("a key")),
    }
}
