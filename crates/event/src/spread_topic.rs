//! A spread topic: a topic by where each of its segments stands, to be compared with many patterns, or with hard ones.
//!
//! What must hold: a pattern that is walked over it, segment by segment, is met once, with all places at once up to
//! which what has been walked may reach. So a pattern costs as many steps as it has segments, however often it holds
//! `**`.

use std::borrow::Borrow;

use smallvec::{SmallVec, smallvec};

use crate::Places;

/// A topic of fewer than `64 * W` segments. `K` tells its segments apart.
#[derive(Debug)]
pub struct SpreadTopic<K, const W: usize> {
    segments: usize,
    /// All places, those before a segment, and those before one that is told apart.
    all: Places<W>,
    before_any: Places<W>,
    before_known: Places<W>,
    /// The distinct segments, sorted, each with where it stands.
    known: SmallVec<[(K, Places<W>); 4]>,
    /// By place: which of these stands there.
    at: SmallVec<[u16; 16]>,
}

impl<K: Ord + Copy, const W: usize> SpreadTopic<K, W> {
    /// A topic with these segments; `None` is one that no pattern names.
    pub fn new(segments: impl Iterator<Item = Option<K>>) -> Self {
        let mut count = 0;
        let numbered = segments.inspect(|_| count += 1).zip(0_u16..);
        let mut sorted: SmallVec<[(K, u16); 16]> =
            numbered.filter_map(|(segment, place)| Some((segment?, place))).collect();
        sorted.sort_unstable();
        let mut topic = Self {
            segments: count,
            all: Places::first(count + 1),
            before_any: Places::first(count),
            before_known: Places::NONE,
            known: SmallVec::new(),
            at: smallvec![0; count],
        };
        for (segment, place) in sorted {
            let place = usize::from(place);
            if topic.known.last().is_none_or(|(last, _)| *last != segment) {
                topic.known.push((segment, Places::NONE));
            }
            let which = topic.known.len() - 1;
            topic.known[which].1.add(place);
            topic.at[place] = which as u16;
            topic.before_known.add(place);
        }
        topic
    }

    /// Where `**` leads to from these places.
    pub fn over_many(&self, from: Places<W>) -> Places<W> {
        from.and_all_behind().and(self.all)
    }

    /// Where `*` leads to.
    pub fn over_any(&self, from: Places<W>) -> Places<W> {
        from.and(self.before_any).next()
    }

    /// The places before any segment at all.
    pub fn before_any(&self) -> Places<W> {
        self.before_any
    }

    /// The distinct known segments, sorted, each with the places before it.
    pub fn known(&self) -> impl Iterator<Item = &(K, Places<W>)> {
        self.known.iter()
    }

    /// Where a literal segment leads to.
    pub fn over<Q: Ord + ?Sized>(&self, from: Places<W>, segment: &Q) -> Places<W>
    where
        K: Borrow<Q>,
    {
        from.and(self.places_of(segment)).next()
    }

    /// Whether the end is among these places.
    pub fn ends_at(&self, places: Places<W>) -> bool {
        places.has(self.segments)
    }

    /// Those of these places that a known segment follows.
    pub fn before_known(&self, places: Places<W>) -> Places<W> {
        places.and(self.before_known)
    }

    /// The segment at a place that a known one follows, and all places before such a one.
    pub fn known_at(&self, place: usize) -> (K, Places<W>) {
        self.known[usize::from(self.at[place])]
    }

    /// The places before such a segment.
    pub fn places_of<Q: Ord + ?Sized>(&self, segment: &Q) -> Places<W>
    where
        K: Borrow<Q>,
    {
        let known = self.known.binary_search_by(|(other, _)| other.borrow().cmp(segment));
        known.map_or(Places::NONE, |at| self.known[at].1)
    }
}
