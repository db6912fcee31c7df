//! A map by name, of which there may be a million.
//!
//! What must hold: adding one takes about as long as adding any other. A single table is moved as a whole when it
//! grows, which takes half a second for a million; here it is one of many small ones.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Into how many tables the names are divided.
const PARTS: usize = 256;

/// How many times as many names as it has a table may have room for, and how many any may.
const SPARE: usize = 4;
const FREE: usize = 64;

/// Values by name.
#[derive(Debug)]
pub(super) struct NameMap<K, V> {
    /// None while there is no name.
    parts: Vec<HashMap<K, V>>,
    count: usize,
}

impl<K, V> Default for NameMap<K, V> {
    fn default() -> Self {
        Self { parts: Vec::new(), count: 0 }
    }
}

impl<K: Hash + Eq + Borrow<str>, V> NameMap<K, V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.parts.get(part(name))?.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.parts.get_mut(part(name))?.get_mut(name)
    }

    /// Adds one that is not there.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, HashMap::new);
        }
        let part = &mut self.parts[part(key.borrow())];
        self.count += usize::from(part.insert(key, value).is_none());
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(part) = self.parts.get_mut(part(name)) else { return };
        self.count -= usize::from(part.remove(name).is_some());
        if self.count == 0 {
            self.parts = Vec::new();
        } else if part.capacity() > FREE.max(SPARE * part.len()) {
            part.shrink_to(SPARE / 2 * part.len());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// In which table a name is. Whoever has all names fall into one has what a single table would be.
fn part(name: &str) -> usize {
    let mix =
        |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = name.as_bytes().as_chunks();
    let sum = words.iter().fold(name.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    (mix(sum, rest) >> 8) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_spread_evenly() {
        let mut map = NameMap::<Box<str>, usize>::default();
        let name = |n: usize| format!("tenants/{}/orders/{n}", n % 100);
        for n in 0..100_000 {
            map.insert(name(n).into(), n);
        }
        let largest = map.parts.iter().map(HashMap::len).max().unwrap();
        assert!(largest < 2 * 100_000 / PARTS, "{largest} of 100,000 are together");
        assert!((0..100_000).all(|n| map.get(&name(n)) == Some(&n)));
    }

    #[test]
    fn a_table_frees_the_room_of_removed_names() {
        let mut map = NameMap::<Box<str>, ()>::default();
        (0..100_000).for_each(|n| map.insert(n.to_string().into(), ()));
        (1..100_000).for_each(|n| map.remove(&n.to_string()));
        let room: usize = map.parts.iter().map(HashMap::capacity).sum();
        assert!(room <= PARTS * FREE, "room for {room}");
    }

    #[test]
    fn removed_names_are_not_counted() {
        let mut map = NameMap::<Box<str>, ()>::default();
        assert!(map.is_empty() && map.get("a").is_none());
        map.insert("a".into(), ());
        map.remove("b");
        assert!(!map.is_empty() && map.get_mut("a").is_some());
        map.remove("a");
        assert!(map.is_empty() && map.parts.is_empty());
        map.remove("a");
    }
}
