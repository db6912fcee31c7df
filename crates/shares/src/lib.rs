//! Shares: how a table that all use is divided among its holders.
//!
//! What must hold: nobody holds more than is still free, in count and in bytes. So one holder alone
//! gets half of the table at most, two that take what they can get a third each, and whoever comes
//! later always finds as much as the greediest has. No holder need be known in advance, and nothing
//! is set aside for those who never come.

use std::collections::hash_map::{Entry, HashMap};
use std::hash::Hash;

/// An amount: how many things, and what they weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// How many bytes.
    pub bytes: usize,
}

/// Why nothing more can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The holder has as much as is left for all others.
    #[error("this holder's share is used up")]
    Share,
    /// There is nothing left for anybody.
    #[error("there is no room left")]
    All,
}

/// Who holds how much of a table.
#[derive(Debug)]
pub struct Shares<H> {
    capacity: Amount,
    taken: Amount,
    held: HashMap<H, Amount>,
}

impl<H: Eq + Hash> Shares<H> {
    /// A table with room for so much, of which nothing is taken.
    pub fn new(capacity: Amount) -> Self {
        Self { capacity, taken: Amount::default(), held: HashMap::new() }
    }

    /// Takes one thing of so many bytes, if the holder's share allows it.
    pub fn take(&mut self, holder: H, bytes: usize) -> Result<(), NoRoom> {
        let free = Amount {
            count: self.capacity.count.saturating_sub(self.taken.count),
            bytes: self.capacity.bytes.saturating_sub(self.taken.bytes),
        };
        if free.count == 0 || free.bytes < bytes {
            return Err(NoRoom::All);
        }
        let held = self.held(&holder);
        if held.count >= free.count || held.bytes > free.bytes - bytes {
            return Err(NoRoom::Share);
        }
        self.take_beyond_capacity(holder, bytes);
        Ok(())
    }

    /// Counts what was promised before, even beyond the share and the capacity.
    pub fn take_beyond_capacity(&mut self, holder: H, bytes: usize) {
        for amount in [&mut self.taken, self.held.entry(holder).or_default()] {
            amount.count += 1;
            amount.bytes += bytes;
        }
    }

    /// Gives one thing of so many bytes back.
    pub fn give_back(&mut self, holder: H, bytes: usize) {
        let Entry::Occupied(mut held) = self.held.entry(holder) else { return };
        for amount in [&mut self.taken, held.get_mut()] {
            amount.count = amount.count.saturating_sub(1);
            amount.bytes = amount.bytes.saturating_sub(bytes);
        }
        if held.get().count == 0 {
            held.remove();
        }
    }

    /// How much a holder has.
    pub fn held(&self, holder: &H) -> Amount {
        self.held.get(holder).copied().unwrap_or_default()
    }

    /// How much all have together.
    pub fn taken(&self) -> Amount {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(shares: &mut Shares<u8>, holder: u8, bytes: usize) -> usize {
        std::iter::from_fn(|| shares.take(holder, bytes).ok()).count()
    }

    #[test]
    fn one_holder_leaves_room_for_others() {
        let mut shares = Shares::new(Amount { count: 100, bytes: 1_000 });
        assert_eq!(fill(&mut shares, 1, 1), 50, "in count");
        assert_eq!(shares.take(1, 1), Err(NoRoom::Share));
        assert_eq!(fill(&mut shares, 2, 1), 25);
        shares.take(3, 900).unwrap();
        assert_eq!(shares.take(4, 900), Err(NoRoom::All));
        let mut shares = Shares::new(Amount { count: 100, bytes: 1_000 });
        assert_eq!(fill(&mut shares, 1, 50), 10, "in bytes");
        assert_eq!(fill(&mut shares, 2, 50), 5);
        for _ in 0..10 {
            shares.give_back(1, 50);
        }
        assert_eq!(shares.held(&1), Amount::default());
        assert_eq!(shares.held.len(), 1, "a holder of nothing is forgotten");
    }

    proptest! {
        #[test]
        fn what_is_held_and_what_is_taken_agree(
            steps in proptest::collection::vec((0u8..4, 0usize..20, any::<bool>()), 0..200),
        ) {
            let capacity = Amount { count: 10, bytes: 100 };
            let mut shares = Shares::new(capacity);
            let mut kept = Vec::new();
            for (holder, bytes, take) in steps {
                if take {
                    let before = shares.held(&holder);
                    let free = capacity.count - shares.taken().count;
                    if shares.take(holder, bytes).is_ok() {
                        prop_assert!(before.count < free);
                        kept.push((holder, bytes));
                    }
                } else if let Some((holder, bytes)) = kept.pop() {
                    shares.give_back(holder, bytes);
                }
                let bytes: usize = kept.iter().map(|(_, bytes)| bytes).sum();
                prop_assert_eq!(shares.taken(), Amount { count: kept.len(), bytes });
                prop_assert!(shares.taken().count <= capacity.count && bytes <= capacity.bytes);
                prop_assert!(shares.held.values().all(|held| held.count > 0));
            }
        }
    }
}
