//! The idle connections, and which of them leaves when there are too many.
//!
//! What must hold: it is the oldest one of the network that has most of them. Age alone would take those that wait
//! for long, and spare a crowd whose every connection asks for something now and then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::network64::Network64;

/// Idle connections, by the turn in which each became so.
#[derive(Debug, Default)]
pub(super) struct IdleQueue {
    keys: BTreeMap<u64, (usize, Network64)>,
    /// The turns of each network; of none that has none.
    networks: HashMap<Network64, BTreeSet<u64>>,
    /// How many each has, and which it is.
    sizes: BTreeSet<(usize, Network64)>,
}

impl IdleQueue {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds the connection of this key. No turn is given twice.
    pub(super) fn insert(&mut self, turn: u64, key: usize, network: Network64) {
        self.keys.insert(turn, (key, network));
        self.change(network, |turns| turns.insert(turn));
    }

    /// Takes one out, if it is there.
    pub(super) fn remove(&mut self, turn: u64) {
        if let Some((_, network)) = self.keys.remove(&turn) {
            self.change(network, |turns| turns.remove(&turn));
        }
    }

    /// The one that has been idle for longest.
    pub(super) fn oldest(&self) -> Option<usize> {
        self.keys.first_key_value().map(|(_, (key, _))| *key)
    }

    /// Takes that one out.
    pub(super) fn pop_oldest(&mut self) -> Option<usize> {
        let turn = *self.keys.first_key_value()?.0;
        let key = self.oldest();
        self.remove(turn);
        key
    }

    /// Takes out the oldest one of the network that has most.
    pub(super) fn pop_from_largest_network(&mut self) -> Option<usize> {
        let (_, network) = self.sizes.last()?;
        let turn = *self.networks.get(network)?.first()?;
        let key = self.keys.get(&turn).map(|(key, _)| *key);
        self.remove(turn);
        key
    }

    fn change(&mut self, network: Network64, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let turns = self.networks.entry(network).or_default();
        self.sizes.remove(&(turns.len(), network));
        change(turns);
        if turns.is_empty() {
            self.networks.remove(&network);
        } else {
            self.sizes.insert((turns.len(), network));
        }
    }
}
