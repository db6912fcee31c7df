//! The command queue: what a shard has been asked and has not done yet.
//!
//! What must hold: each turn does a share of every kind, however much there is of another; so
//! nobody's live events, page or cut wait until a hundred thousand have joined.

use std::collections::VecDeque;

use crate::inbox::ShardCommand;
use crate::settings::StepLimits;

/// What is to be done, by kind, each in the order in which it came. Bounded as the inbox is.
#[derive(Debug, Default)]
pub(super) struct CommandQueue {
    joins: VecDeque<ShardCommand>,
    pages: VecDeque<ShardCommand>,
    signals: VecDeque<ShardCommand>,
    requests: VecDeque<ShardCommand>,
}

impl CommandQueue {
    pub(super) fn extend(&mut self, commands: impl IntoIterator<Item = ShardCommand>) {
        for command in commands {
            let kind = match command {
                ShardCommand::Join(_) | ShardCommand::Attach(_) => &mut self.joins,
                ShardCommand::Read(..) => &mut self.pages,
                ShardCommand::Signal(..) => &mut self.signals,
                ShardCommand::Cut(..)
                | ShardCommand::CutOne(..)
                | ShardCommand::Reverify(..)
                | ShardCommand::Drain(_)
                | ShardCommand::Detach(..)
                | ShardCommand::List(..)
                | ShardCommand::Count(..) => &mut self.requests,
            };
            kind.push_back(command);
        }
    }

    /// What is to be done in one turn: who comes is first, for a request that means all means them too.
    pub(super) fn share(&mut self, limits: &StepLimits) -> Vec<ShardCommand> {
        let mut share = Vec::new();
        let mut left = limits.joins;
        while left > 0
            && let Some(join) = self.joins.pop_front()
        {
            left = left.saturating_sub(weight(&join));
            share.push(join);
        }
        let kinds = [
            (&mut self.joins, 0, limits.joins),
            (&mut self.requests, limits.requests, limits.requests),
            (&mut self.signals, limits.signals, limits.signals),
            (&mut self.pages, limits.pages, limits.pages),
        ];
        for (kind, count, room) in kinds {
            share.extend(kind.drain(..count.min(kind.len())));
            if kind.is_empty() && kind.capacity() > room {
                // A flood does not leave its room behind.
                *kind = VecDeque::new();
            }
        }
        share
    }

    /// All who are to join, at once.
    pub(super) fn arrivals(&mut self) -> impl Iterator<Item = ShardCommand> + use<> {
        std::mem::take(&mut self.joins).into_iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.joins.len() + self.pages.len() + self.signals.len() + self.requests.len()
    }
}

/// What taking in a subscriber costs, measured by one without patterns.
fn weight(join: &ShardCommand) -> usize {
    let interest = match join {
        ShardCommand::Join(new) => &new.interest,
        ShardCommand::Attach(detached) => &detached.subscription.interest,
        _ => return 1,
    };
    interest.selector().topics.patterns().len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::BodySignal;
    use crate::subscriber_key::SubscriberKey;

    const LIMITS: StepLimits = StepLimits::SMALL;

    #[test]
    fn a_flood_of_one_kind_does_not_hold_up_another() {
        let mut queue = CommandQueue::default();
        queue.extend(
            (0..100).map(|n| ShardCommand::Signal(SubscriberKey::new(n, 1), BodySignal::Room)),
        );
        queue.extend([ShardCommand::CutOne(SubscriberKey::new(7, 1), Box::new(|_| ()))]);
        let share = queue.share(&LIMITS);
        assert_eq!(share.len(), LIMITS.signals + 1);
        assert!(share.iter().any(|command| matches!(command, ShardCommand::CutOne(..))));
        let mut done = share.len();
        while !queue.is_empty() {
            let share = queue.share(&LIMITS).len();
            assert!((1..=LIMITS.signals).contains(&share), "{share} at once");
            done += share;
        }
        assert_eq!(done, 101);
    }
}
