//! The ledger: what publishers were told, and what each client is owed by it.

use std::collections::BTreeMap;

use super::facts::{Facts, Recorded, SentBatch};
use super::{
    BatchNumber, BrokenGuarantee, ConnectCursor, FindingKind, Guarantees, JudgedId, ReaderAccount,
    SentMessage, SubscriptionSpec,
};

/// What was published, what was told of it, and who heard what.
#[derive(Debug)]
pub(crate) struct JudgeLedger {
    pub(super) facts: Facts,
    readers: Vec<ReaderAccount>,
}

impl JudgeLedger {
    /// Nothing has happened yet; these are the clients.
    pub(crate) fn new(
        guarantees: Guarantees,
        specs: impl IntoIterator<Item = SubscriptionSpec>,
    ) -> Self {
        let facts = Facts {
            guarantees,
            may_lose: false,
            messages: Vec::new(),
            batches: Vec::new(),
            held: BTreeMap::new(),
            epochs: Vec::new(),
            tick: 0,
            finding: None,
        };
        let readers = specs.into_iter().enumerate();
        Self { facts, readers: readers.map(|(n, spec)| ReaderAccount::new(n, spec)).collect() }
    }

    /// The first guarantee that was found broken.
    pub(crate) fn finding(&self) -> Option<&BrokenGuarantee> {
        self.facts.finding.as_ref()
    }

    /// Something was found elsewhere.
    pub(crate) fn report(&mut self, kind: FindingKind, text: String) {
        self.facts.report(kind, text);
    }

    /// From now on something acknowledged may be gone, of which whoever is behind must be told.
    pub(crate) fn may_lose(&mut self) {
        self.facts.may_lose = true;
    }

    /// A publisher sends these at once. The texts must be those of [`JudgeLedger::next_text`], in order.
    pub(crate) fn published(&mut self, messages: Vec<SentMessage>) -> BatchNumber {
        let facts = &mut self.facts;
        facts.tick += 1;
        let (first, batch) = (facts.messages.len(), facts.batches.len());
        let begun = facts.tick;
        let record = |message| Recorded { message, begun, batch, place: None };
        facts.messages.extend(messages.into_iter().map(record));
        let messages = first..facts.messages.len();
        facts.batches.push(SentBatch { messages, awaited: 1, is_unknown: false, first: None });
        batch
    }

    /// The number of the message after `ahead` others of the next batch.
    pub(crate) fn next_number(&self, ahead: usize) -> usize {
        self.facts.messages.len() + ahead
    }

    /// What the message after `ahead` others of the next batch must begin with.
    pub(crate) fn next_text(&self, ahead: usize) -> String {
        format!("m{} ", self.next_number(ahead))
    }

    /// The messages of a batch, for whoever sends it again.
    pub(crate) fn messages(&self, batch: BatchNumber) -> Vec<SentMessage> {
        let range = self.facts.batches[batch].messages.clone();
        self.facts.messages[range].iter().map(|recorded| recorded.message.clone()).collect()
    }

    /// A publisher was told that a batch was accepted, and where.
    pub(crate) fn accepted(&mut self, batch: BatchNumber, first: JudgedId, count: usize) {
        let expected = self.facts.batches[batch].messages.len();
        if count != expected {
            let text = format!("batch {batch} of {expected} was accepted as {count}");
            self.facts.report(FindingKind::TornBatch, text);
        }
        self.facts.batches[batch].awaited -= 1;
        self.place(batch, first);
    }

    /// A batch is sent once more, under its key.
    pub(crate) fn repeated(&mut self, batch: BatchNumber) {
        self.facts.batches[batch].awaited += 1;
    }

    /// A publisher was told that nothing of what it sent was accepted.
    pub(crate) fn refused(&mut self, batch: BatchNumber) {
        self.facts.batches[batch].awaited -= 1;
    }

    /// Nobody will be told what became of a batch.
    pub(crate) fn unanswered(&mut self, batch: BatchNumber) {
        self.facts.batches[batch].awaited -= 1;
        self.facts.batches[batch].is_unknown = true;
    }

    /// A batch is known to stand in the log, or to have stood there.
    fn place(&mut self, batch: BatchNumber, first: JudgedId) {
        let facts = &mut self.facts;
        let known = &mut facts.batches[batch];
        match known.first {
            Some(before) if before == first => return,
            // Sent again after the first was lost; who sent it first may hear of that late.
            Some(before) if facts.may_lose && before.epoch != first.epoch => {}
            Some(before) => {
                let text = format!("batch {batch} stands at {before} and at {first}");
                return facts.report(FindingKind::OneEventTwoIds, text);
            }
            None => {}
        }
        known.first = Some(first);
        let messages = known.messages.clone();
        for (ahead, number) in messages.enumerate() {
            let place = facts.rank(JudgedId { epoch: first.epoch, seq: first.seq + ahead as u64 });
            if let Some(other) = facts.held.insert(place, number)
                && other != number
            {
                let text = format!("m{other} and m{number} both stand at {place:?} ({first})");
                facts.report(FindingKind::TwoEventsOneId, text);
            }
            facts.messages[number].place = Some(place);
            for reader in &mut self.readers {
                if let Some(claim) = reader.denies(&facts.messages[number], place) {
                    let text = format!("{reader} was told {claim}, but m{number} is at {place:?}");
                    if facts.guarantees.tells_late && facts.may_lose && claim.crosses(place) {
                        reader.has_crossed(text);
                        continue;
                    }
                    facts.report(FindingKind::SilentLoss, text);
                    return;
                }
            }
        }
    }

    /// A client.
    pub(crate) fn reader(&self, reader: usize) -> &ReaderAccount {
        &self.readers[reader]
    }

    /// A client as it changes, and what is known.
    pub(super) fn with_reader(&mut self, reader: usize) -> (&mut ReaderAccount, &mut Facts) {
        (&mut self.readers[reader], &mut self.facts)
    }

    /// A client connects with what it holds, or anew.
    pub(crate) fn connecting(&mut self, reader: usize, beginning: ConnectCursor) {
        let (reader, facts) = self.with_reader(reader);
        reader.connect(facts, beginning);
    }

    /// A client's socket has taken these bytes.
    pub(crate) fn took(&mut self, reader: usize, bytes: &[u8]) {
        let (reader, facts) = self.with_reader(reader);
        let events = match reader.read(facts, bytes) {
            Ok(events) => events,
            Err(why) => {
                let text = format!("{reader}: {why}");
                return facts.report(FindingKind::Malformed, text);
            }
        };
        let number = reader.number();
        for event in events {
            if let Some((batch, first)) = self.readers[number].infer(&mut self.facts, &event) {
                // Whoever hears one of a batch knows of all.
                self.place(batch, first);
            }
            let (reader, facts) = self.with_reader(number);
            reader.on_event(facts, &event);
            if self.facts.finding.is_some() {
                return;
            }
        }
    }

    /// A subject's streams have been cut, by the word of every shard.
    pub(crate) fn was_cut(&mut self, reader: usize) {
        let (reader, facts) = self.with_reader(reader);
        facts.tick += 1;
        reader.cut(facts.tick);
    }

    /// A connection has ended. `smoothly` says that the hub ended it while its client took everything.
    pub(crate) fn ended(&mut self, reader: usize, smoothly: bool) {
        let (reader, facts) = self.with_reader(reader);
        if smoothly && reader.is_unfinished() {
            let text = format!("{reader}: closed without a last chunk");
            facts.report(FindingKind::Unfinished, text);
        }
        reader.disconnect();
    }

    /// The first event that is known to be owed to a client and has not come.
    pub(crate) fn owed(&self, reader: usize) -> Option<&str> {
        self.readers[reader].owed(&self.facts).map(|recorded| recorded.message.text.as_str())
    }

    /// Everything has been done for a client that there is to do.
    pub(crate) fn settle(&mut self, reader: usize) {
        let (reader, facts) = self.with_reader(reader);
        if let Some(text) = reader.unreported_loss() {
            let text = format!("{text}, of which it was never told");
            facts.report(FindingKind::SilentLoss, text);
        }
        if let Some(missed) = reader.owed(facts) {
            let place = missed.place;
            let text = format!("{reader} never received {:?} at {place:?}", missed.message.text);
            facts.report(FindingKind::Undelivered, text);
        }
    }
}
