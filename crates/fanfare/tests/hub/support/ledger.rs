//! A ledger: whether one client has received everything, once, in order.

use super::Event;

/// Checks a run of numbered messages of one topic.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The number that must come next; any may begin where it is `None`.
    next: Option<u64>,
    last_seq: u64,
}

impl Ledger {
    /// One that must begin with this number.
    pub(crate) fn beginning_with(first: u64) -> Self {
        Self { next: Some(first), last_seq: 0 }
    }

    /// Enters an event whose message is a number, perhaps with white space behind it: it must be
    /// the one after the last, and its position must be later.
    pub(crate) fn enter(&mut self, event: &Event) {
        assert!(!event.is_gap(), "a gap where nothing was lost: {event:?}");
        let digits = event.data.trim_end();
        let number = digits.parse().unwrap_or_else(|_| panic!("not a number: {event:?}"));
        let next = *self.next.get_or_insert(number);
        assert_eq!(number, next, "lost, repeated or out of order: {}", event.id);
        assert!(event.seq() > self.last_seq, "{} after {}", event.id, self.last_seq);
        self.last_seq = event.seq();
        self.next = Some(number + 1);
    }

    /// The number that must come next; 0 where none has been entered.
    pub(crate) fn next(&self) -> u64 {
        self.next.unwrap_or(0)
    }
}
