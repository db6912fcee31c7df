//! Expiries: when which subscriber's right to listen ends.

use std::collections::BTreeSet;
use std::time::Instant;

/// The subscribers that may not stay for ever, by the end of their lease.
#[derive(Debug, Default)]
pub(crate) struct Expiries(BTreeSet<(Instant, mio::Token)>);

impl Expiries {
    pub(crate) fn insert(&mut self, token: mio::Token, at: Instant) {
        self.0.insert((at, token));
    }

    pub(crate) fn remove(&mut self, token: mio::Token, at: Instant) {
        self.0.remove(&(at, token));
    }

    /// When the next lease ends.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The next subscriber whose lease has ended.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<mio::Token> {
        let due = self.next()? <= now;
        due.then(|| self.0.pop_first()).flatten().map(|(_, token)| token)
    }
}
