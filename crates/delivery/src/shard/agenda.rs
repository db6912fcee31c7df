//! The agenda: what a shard has been asked and has not done yet.
//!
//! What must hold: each turn does a share of every kind, however much there is of another; so
//! nobody's live events, page or cut wait until a hundred thousand have joined.

use std::collections::VecDeque;

use crate::inbox::Command;

/// How many of each kind one turn does; few in tests, so that more are met.
const JOINS: usize = if cfg!(test) { 2 } else { 256 };
/// A page may be as large as what one turn of a subscriber writes.
const PAGES: usize = if cfg!(test) { 2 } else { 16 };
const SIGNALS: usize = if cfg!(test) { 3 } else { 1024 };
/// What operators ask for; one may look at every subscriber.
const REQUESTS: usize = if cfg!(test) { 2 } else { 8 };

/// What is to be done, by kind, each in the order in which it came. Bounded as the inbox is.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    joins: VecDeque<Command>,
    pages: VecDeque<Command>,
    signals: VecDeque<Command>,
    requests: VecDeque<Command>,
}

impl Agenda {
    pub(super) fn extend(&mut self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            let kind = match command {
                Command::Join(_) => &mut self.joins,
                Command::Read(..) => &mut self.pages,
                Command::Signal(..) => &mut self.signals,
                Command::Cut(..)
                | Command::CutOne(..)
                | Command::Reverify(..)
                | Command::Drain(_)
                | Command::List(..)
                | Command::Count(..) => &mut self.requests,
            };
            kind.push_back(command);
        }
    }

    /// What is to be done in one turn.
    pub(super) fn share(&mut self) -> Vec<Command> {
        let mut share = Vec::new();
        let kinds = [
            (&mut self.requests, REQUESTS),
            (&mut self.signals, SIGNALS),
            (&mut self.pages, PAGES),
            (&mut self.joins, JOINS),
        ];
        for (kind, count) in kinds {
            share.extend(kind.drain(..count.min(kind.len())));
            if kind.is_empty() && kind.capacity() > count {
                // A flood does not leave its room behind.
                *kind = VecDeque::new();
            }
        }
        share
    }

    pub(super) fn is_empty(&self) -> bool {
        self.joins.is_empty()
            && self.pages.is_empty()
            && self.signals.is_empty()
            && self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use mio::Token;

    use super::*;
    use crate::body::Signal;

    #[test]
    fn a_flood_of_one_kind_is_done_before_another_is_begun() {
        let mut agenda = Agenda::default();
        agenda.extend((0..100).map(|n| Command::Signal(Token(n), Signal::Room)));
        agenda.extend([Command::CutOne(Token(7), Box::new(|_| ()))]);
        let share = agenda.share();
        assert_eq!(share.len(), SIGNALS + 1);
        assert!(share.iter().any(|command| matches!(command, Command::CutOne(..))));
        let mut done = share.len();
        while !agenda.is_empty() {
            let share = agenda.share().len();
            assert!((1..=SIGNALS).contains(&share), "{share} at once");
            done += share;
        }
        assert_eq!(done, 101);
    }
}
