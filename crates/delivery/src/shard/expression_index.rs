//! The expression index: which of the patterns that a dialect describes in its own language an event is held against.
//!
//! What must hold: each distinct expression is asked at most once of an event, and none is left out that would have
//! said yes. They are found by what their topics begin with, as the dialect reads these: a beginning is looked for at
//! each length that some beginning has, of which there are at most [`LONGEST`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fanfare_event::{Beginning, Pattern, Reading, Topic};

use super::members::{Bucket, Family, Members};
use crate::subscriber_key::SubscriberKey;

/// How much of a beginning counts, in bytes.
const LONGEST: usize = 128;

/// Expressions, with their subscribers.
#[derive(Debug, Default)]
pub(super) struct ExpressionIndex {
    /// By how topics are read. A language has one or two ways.
    readings: Vec<Read>,
}

/// The expressions of topics that are read in one way.
#[derive(Debug)]
struct Read {
    reading: Arc<dyn Reading>,
    by_beginning: HashMap<Box<str>, Bucket>,
    /// How many beginnings there are of each length.
    lengths: BTreeMap<usize, usize>,
}

impl ExpressionIndex {
    pub(super) fn insert(
        &mut self,
        pattern: &Pattern,
        beginning: &Beginning<'_>,
        key: SubscriberKey,
    ) {
        let name = beginning.reading.name();
        let place = self.readings.iter().position(|read| read.reading.name() == name);
        let place = place.unwrap_or_else(|| {
            self.readings.push(Read::of(Arc::clone(&beginning.reading)));
            self.readings.len() - 1
        });
        self.readings[place].insert(pattern, shortened(&beginning.text), key);
    }

    /// Takes out a subscriber that `is_member` already denies.
    pub(super) fn remove(
        &mut self,
        pattern: &Pattern,
        beginning: &Beginning<'_>,
        is_member: impl Fn(SubscriberKey) -> bool,
    ) {
        let name = beginning.reading.name();
        let Some(place) = self.readings.iter().position(|read| read.reading.name() == name) else {
            return;
        };
        let read = &mut self.readings[place];
        read.remove(pattern, shortened(&beginning.text), is_member);
        if read.by_beginning.is_empty() {
            self.readings.swap_remove(place);
        }
    }

    /// Calls `visit` for the subscribers of each expression that matches. Returns how many were asked.
    pub(super) fn visit(&self, topic: &Topic, mut visit: impl FnMut(&Members)) -> usize {
        let mut asked = 0;
        for Read { reading, by_beginning, lengths } in &self.readings {
            reading.read(topic, &mut |text| {
                let beginnings = lengths.keys().map_while(|length| match text.len() {
                    len if len < *length => None,
                    _ => Some(text.get(..*length)),
                });
                // What is cut within a character is no beginning.
                for beginning in beginnings.flatten() {
                    let Some(bucket) = by_beginning.get(beginning) else { continue };
                    bucket.for_each(|family| {
                        asked += 1;
                        if family.pattern.matches(topic) {
                            visit(&family.members);
                        }
                    });
                }
            });
        }
        asked
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }
}

impl Read {
    fn of(reading: Arc<dyn Reading>) -> Self {
        Self { reading, by_beginning: HashMap::new(), lengths: BTreeMap::new() }
    }

    fn insert(&mut self, pattern: &Pattern, beginning: &str, key: SubscriberKey) {
        let family = || {
            let (pattern, members) = (pattern.clone(), Members::of(key));
            Box::new(Family { pattern, members })
        };
        let Some(bucket) = self.by_beginning.get_mut(beginning) else {
            self.by_beginning.insert(beginning.into(), Bucket::One(family()));
            *self.lengths.entry(beginning.len()).or_default() += 1;
            return;
        };
        match bucket.get_mut(pattern) {
            Some(family) => family.members.join(key),
            None => bucket.insert(family()),
        }
    }

    fn remove(
        &mut self,
        pattern: &Pattern,
        beginning: &str,
        is_member: impl Fn(SubscriberKey) -> bool,
    ) {
        let Some(bucket) = self.by_beginning.get_mut(beginning) else { return };
        let left = bucket.get_mut(pattern).is_some_and(|family| family.members.leave(is_member));
        if !left || !bucket.remove(pattern) {
            return;
        }
        self.by_beginning.remove(beginning);
        if let Some(count) = self.lengths.get_mut(&beginning.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&beginning.len());
            }
        }
    }
}

/// As much of a beginning as counts.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use fanfare_event::Expression;
    use fanfare_mercure::{Matcher, MatcherType, MercureUrl, topic_of};
    use proptest::prelude::*;

    use super::*;

    /// Counts how often it is asked whether a topic begins with its first part and ends with its second.
    #[derive(Debug)]
    struct Ends {
        text: String,
        asked: AtomicUsize,
    }

    /// Topics without what is before the first colon; those that have none are of no family.
    #[derive(Debug)]
    struct BehindTheColon;

    impl Reading for BehindTheColon {
        fn name(&self) -> &'static str {
            "behind the colon"
        }

        fn read(&self, topic: &Topic, with: &mut dyn FnMut(&str)) {
            if let Some((_, behind)) = topic.as_str().split_once(':') {
                with(behind);
            }
        }
    }

    impl Ends {
        fn parts(&self) -> (&str, &str) {
            self.text.split_once('|').unwrap()
        }
    }

    impl Expression for Ends {
        fn as_str(&self) -> &str {
            &self.text
        }

        fn matches(&self, topic: &Topic) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let (start, end) = self.parts();
            let behind = topic.as_str().split_once(':').map(|(_, behind)| behind);
            behind.is_some_and(|text| text.starts_with(start) && text.ends_with(end))
        }

        fn beginning(&self) -> Beginning<'_> {
            Beginning { reading: Arc::new(BehindTheColon), text: self.parts().0.into() }
        }

        fn footprint(&self) -> usize {
            0
        }
    }

    fn key(n: usize) -> SubscriberKey {
        SubscriberKey::new(n, 1)
    }

    fn insert(index: &mut ExpressionIndex, pattern: &Pattern, n: usize) {
        index.insert(pattern, &pattern.beginning().unwrap(), key(n));
    }

    #[test]
    fn an_event_is_compared_once_and_by_beginning() {
        let mut index = ExpressionIndex::default();
        let texts = ["a/1/|", "a/1/|", "a/2/|", "a/|x", "|", "é|"];
        let all: Vec<_> = texts
            .map(|text| Arc::new(Ends { text: text.into(), asked: AtomicUsize::new(0) }))
            .into();
        let patterns: Vec<_> =
            all.iter().map(|ends| Pattern::of_expression(Arc::clone(ends) as _)).collect();
        for (n, pattern) in patterns.iter().enumerate() {
            insert(&mut index, pattern, n);
        }
        let mut found = Vec::new();
        let asked = index.visit(&Topic::parse("t:a/1/b").unwrap(), |members| {
            found.extend(members.keys().iter().map(|key| key.entry()));
        });
        found.sort_unstable();
        assert_eq!((found, asked), (vec![0, 1, 4], 3));
        let counts: Vec<_> = all.iter().map(|ends| ends.asked.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1, 0, 0, 1, 1, 0], "what is written alike is one");
        assert_eq!(index.visit(&Topic::parse("a/1/b").unwrap(), |_| {}), 0, "of no family");
        // The first byte of `é` is that of `è` too.
        assert_eq!(index.visit(&Topic::parse("t:è").unwrap(), |_| {}), 1);
        assert_eq!(index.visit(&Topic::parse("t:").unwrap(), |_| {}), 1, "shorter than most");
    }

    #[test]
    fn a_beginning_costs_a_bounded_number_of_searches() {
        let mut index = ExpressionIndex::default();
        for length in 0..1000 {
            let text = format!("{}|", "é".repeat(length));
            let ends = Ends { text, asked: AtomicUsize::new(0) };
            insert(&mut index, &Pattern::of_expression(Arc::new(ends)), length);
        }
        assert!(index.readings[0].lengths.len() <= LONGEST + 1);
        let topic = Topic::parse(&format!("t:{}", "é".repeat(100))).unwrap();
        let mut found = 0;
        index.visit(&topic, |members| found += members.count());
        assert_eq!(found, 101, "what is shortened is found");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Against the expressions themselves, those of Mercure's protocol.
        #[test]
        fn an_event_finds_exactly_those_whose_expression_matches(
            matchers in prop::collection::vec(
                (0..2_usize, concat!(
                    r"(https?://(a|b|\*|:x|é|a:81)|http://A|/|urn\\:|urn:|//a|)",
                    r"(/?(a|b|%61|é|:x|\*|\{x\}|\{/y\*\}|:z\?|\(a\+\)|\.\.)){0,4}",
                )), 1..40),
            names in prop::collection::vec(
                r"(https?://(a|b|é|a:81|hub\.example\.com)|HTTP://a|/|urn:|//a|)(/?(a|b|%61|é|\*|\.\.)){0,4}", 1..20),
            leavers in prop::collection::vec(any::<bool>(), 40),
        ) {
            let hub = MercureUrl::parse("https://hub.example.com/.well-known/mercure").unwrap();
            let hub = Arc::new(hub);
            let kinds = [MatcherType::UrlPattern, MatcherType::Older];
            let patterns: Vec<_> = matchers
                .iter()
                .filter_map(|(kind, text)| Matcher::parse(kinds[*kind], text, &hub).ok())
                .map(Matcher::into_pattern)
                .filter(|pattern| !pattern.has_segments())
                .collect();
            let topics: Vec<_> = names.iter().filter_map(|name| topic_of(name).ok()).collect();
            let mut index = ExpressionIndex::default();
            for (n, pattern) in patterns.iter().enumerate() {
                insert(&mut index, pattern, n);
            }
            let mut there: BTreeSet<_> = (0..patterns.len()).collect();
            for round in 0..2 {
                for topic in &topics {
                    let mut found = Vec::new();
                    index.visit(topic, |members| {
                        let keys = members.keys().iter().map(|key| key.entry());
                        found.extend(keys.filter(|n| there.contains(n)));
                    });
                    found.sort_unstable();
                    let wanted: Vec<_> =
                        there.iter().copied().filter(|n| patterns[*n].matches(topic)).collect();
                    prop_assert_eq!(&found, &wanted, "{}", topic);
                }
                for (n, pattern) in patterns.iter().enumerate() {
                    if (round == 1 || leavers[n]) && there.remove(&n) {
                        let beginning = pattern.beginning().unwrap();
                        index.remove(pattern, &beginning, |key| there.contains(&key.entry()));
                    }
                }
            }
            prop_assert!(index.is_empty(), "nobody is left behind");
        }
    }
}
