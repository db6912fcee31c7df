//! Eviction order: of things that several addresses hold, in which order they are taken away.
//!
//! What must hold: each is taken from the address that holds most at that moment, and of those the one
//! it has held for longest. So whoever holds few loses none before all hold as few.

use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use crate::network64::Network64;

/// Something that an address holds, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HeldItem<T> {
    pub(super) since: Instant,
    pub(super) what: T,
    pub(super) by: Network64,
}

/// All of them, the one first that goes first.
pub(super) fn in_eviction_order<T: Copy + Ord>(
    held: Vec<HeldItem<T>>,
) -> impl Iterator<Item = HeldItem<T>> {
    let mut holders: HashMap<Network64, Vec<HeldItem<T>>> = HashMap::new();
    for one in held {
        holders.entry(one.by).or_default().push(one);
    }
    let mut queues: Vec<_> = holders.into_values().collect();
    for queue in &mut queues {
        // The oldest last, from where it is taken.
        queue.sort_unstable_by(|one, other| other.cmp(one));
    }
    // Of two who hold as many, the one goes first whose oldest is older.
    let rank = |queue: &Vec<HeldItem<T>>| {
        let oldest = queue.last()?.since;
        Some((queue.len(), std::cmp::Reverse(oldest)))
    };
    let ranked = queues.iter().enumerate().filter_map(|(at, queue)| Some((rank(queue)?, at)));
    let mut by_rank: BinaryHeap<_> = ranked.collect();
    std::iter::from_fn(move || {
        let (_, at) = by_rank.pop()?;
        let taken = queues[at].pop()?;
        by_rank.extend(rank(&queues[at]).map(|rank| (rank, at)));
        Some(taken)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_waited_longest_loses_what_others_hold_many_of() {
        let begin = Instant::now();
        let held = |by: &str, what: u32, after: u64| HeldItem {
            since: begin + Duration::from_secs(after),
            what,
            by: Network64::of(by.parse().unwrap()),
        };
        let mut all = vec![held("192.0.2.1", 0, 0), held("192.0.2.2", 1, 1)];
        all.extend((2..6).map(|n| held("192.0.2.3", n, u64::from(n))));
        let order: Vec<_> = in_eviction_order(all).map(|held| held.what).collect();
        assert_eq!(order, [2, 3, 4, 0, 1, 5]);
    }
}
