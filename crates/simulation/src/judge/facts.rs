//! The facts: what was published, and what is known of where it stands.

use std::collections::BTreeMap;

use super::{BrokenGuarantee, FindingKind, IdRank, JudgedId};

/// Which batch, by when its publisher first sent it.
pub(crate) type BatchNumber = usize;

/// What the log under judgement guarantees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guarantees {
    /// Nothing is trimmed in this history.
    pub(crate) keeps_all: bool,
    /// Epochs do not ascend with their numbers: each start is a log of its own.
    pub(crate) forgets_at_restart: bool,
    /// Whoever has crossed from one epoch to the next may be told only later that something was lost
    /// there, but is told.
    pub(crate) tells_late: bool,
}

/// An event, as it was sent by its publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentMessage {
    /// What it is about; the first is its own.
    pub(crate) topics: Vec<String>,
    /// The id that its publisher chose, which others may have too.
    pub(crate) id: Option<String>,
    /// Its type, if it has one.
    pub(crate) event_type: Option<String>,
    /// No other has the same.
    pub(crate) text: String,
    /// Only those receive it who were granted one of its topics.
    pub(crate) is_private: bool,
}

/// What was published, and what was told of it.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) guarantees: Guarantees,
    /// Something acknowledged may be gone.
    pub(super) may_lose: bool,
    pub(super) messages: Vec<Recorded>,
    pub(super) batches: Vec<SentBatch>,
    /// Whatever is known to stand in the log, or to have stood there.
    pub(super) held: BTreeMap<IdRank, usize>,
    /// Epochs in the order in which they were first heard of.
    pub(super) epochs: Vec<u64>,
    /// Counts publishes and openings.
    pub(super) tick: u64,
    pub(super) finding: Option<BrokenGuarantee>,
}

#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) message: SentMessage,
    pub(super) begun: u64,
    pub(super) batch: BatchNumber,
    pub(super) place: Option<IdRank>,
}

#[derive(Debug)]
pub(super) struct SentBatch {
    pub(super) messages: std::ops::Range<usize>,
    /// How often it was sent and no answer has come yet.
    pub(super) awaited: usize,
    /// An answer will never come.
    pub(super) is_unknown: bool,
    pub(super) first: Option<JudgedId>,
}

impl Facts {
    pub(super) fn report(&mut self, kind: FindingKind, text: String) {
        if self.finding.is_none() {
            self.finding = Some(BrokenGuarantee { kind, text });
        }
    }

    /// Where an id stands among all others.
    pub(super) fn rank(&mut self, id: JudgedId) -> IdRank {
        if !self.guarantees.forgets_at_restart {
            return IdRank { rank: id.epoch, seq: id.seq };
        }
        let rank = self.epochs.iter().position(|epoch| *epoch == id.epoch).unwrap_or_else(|| {
            self.epochs.push(id.epoch);
            self.epochs.len() - 1
        });
        IdRank { rank: rank as u64, seq: id.seq }
    }

    /// Which message this is, by its text.
    pub(super) fn identify(&self, text: &str) -> Option<usize> {
        let number: usize = text.split(' ').next()?.strip_prefix('m')?.parse().ok()?;
        (self.messages.get(number)?.message.text == text).then_some(number)
    }

    /// Where the batch of this message begins if the message has this id; `None` where it cannot.
    pub(super) fn first_of(&self, number: usize, id: JudgedId) -> Option<(BatchNumber, JudgedId)> {
        let batch = self.messages[number].batch;
        let ahead = (number - self.batches[batch].messages.start) as u64;
        let seq = id.seq.checked_sub(ahead).filter(|seq| *seq > 0)?;
        Some((batch, JudgedId { epoch: id.epoch, seq }))
    }

    /// Whether every answer to its publisher was that nothing of it was accepted.
    pub(super) fn is_refused(&self, number: usize) -> bool {
        let SentBatch { awaited, is_unknown, first, .. } =
            &self.batches[self.messages[number].batch];
        *awaited == 0 && !is_unknown && first.is_none()
    }
}
