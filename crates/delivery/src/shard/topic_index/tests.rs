use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fanfare_event::{Beginning, Expression, Selector};
use proptest::prelude::*;

use super::*;

/// Every subscriber, on an index of many, against the selectors themselves.
#[test]
fn an_event_finds_exactly_those_whose_selector_matches() {
    let segments = ["a", "b", "*", "**", ""];
    let mut texts = Vec::new();
    for first in segments {
        texts.push(first.to_owned());
        for second in segments {
            texts.push(format!("{first}/{second}"));
            texts.extend(segments.map(|third| format!("{first}/{second}/{third}")));
        }
    }
    texts.retain(|text| !text.is_empty());
    let mut random = fastrand::Rng::with_seed(7);
    let mut selectors: Vec<Option<Selector>> = (0..500)
        .map(|_| {
            let picked = (0..random.usize(1..4)).map(|_| random.choice(&texts).unwrap().as_str());
            Some(Selector::parse(picked.collect::<Vec<_>>(), []).unwrap())
        })
        .collect();
    let mut index = TopicIndex::default();
    for (n, selector) in selectors.iter().enumerate() {
        index.insert(&selector.as_ref().unwrap().topics, SubscriberKey::new(n, 1));
    }
    loop {
        for name in texts.iter().filter(|text| !text.contains('*')) {
            let topic = Topic::parse(name).unwrap();
            let mut found = BTreeSet::new();
            index.visit(&topic, |key| {
                if selectors[key.entry()].is_some() {
                    found.insert(key.entry());
                }
            });
            let wanted: BTreeSet<_> = (0..selectors.len())
                .filter(|n| selectors[*n].as_ref().is_some_and(|s| s.topics.matches(&topic)))
                .collect();
            assert_eq!(found, wanted, "{name}");
            let matching = |n: &usize| {
                let topics = &selectors[*n].as_ref().unwrap().topics;
                let named = topics.topics().iter().filter(|named| **named == topic).count();
                named + topics.patterns().iter().filter(|p| p.matches(&topic)).count()
            };
            let subscribers = wanted.iter().map(matching).sum();
            assert_eq!(index.count(&topic, usize::MAX), TopicCount { subscribers, more: false });
        }
        let present: Vec<_> = (0..selectors.len()).filter(|n| selectors[*n].is_some()).collect();
        if present.is_empty() {
            break;
        }
        for n in present.into_iter().take(150) {
            let selector = selectors[n].take().unwrap();
            index.remove(&selector.topics, |key| selectors[key.entry()].is_some());
        }
    }
    let is_empty = index.topics.is_empty() && index.patterns.is_empty();
    assert!(is_empty && index.segments.is_empty(), "nobody is left behind");
}

/// Counts how often it is asked.
#[derive(Debug, Default)]
struct Long(AtomicUsize);

impl Expression for Long {
    fn as_str(&self) -> &str {
        "long"
    }

    fn matches(&self, topic: &Topic) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        topic.as_str().len() > 3
    }

    fn beginning(&self) -> Beginning<'_> {
        Beginning::unknown()
    }

    fn footprint(&self) -> usize {
        0
    }
}

#[test]
fn an_expression_is_asked_once_for_each_subscriber() {
    let mut index = TopicIndex::default();
    let asked = Arc::new(Long::default());
    let selectors: Vec<_> = (0..10)
        .map(|n| {
            let expression: Arc<dyn Expression> = match n {
                0 => Arc::clone(&asked) as _,
                _ => Arc::new(Long::default()),
            };
            Selector::of(Vec::new(), vec![Pattern::of_expression(expression)]).unwrap()
        })
        .collect();
    for (n, selector) in selectors.iter().enumerate() {
        index.insert(&selector.topics, SubscriberKey::new(n, 1));
    }
    let mut count = |name| index.count(&Topic::parse(name).unwrap(), usize::MAX).subscribers;
    assert_eq!((count("abcd"), count("abc")), (10, 0));
    assert_eq!(asked.0.load(Ordering::Relaxed), 2, "two events");
    for selector in &selectors {
        index.remove(&selector.topics, |_| false);
    }
    assert!(index.expressions.is_empty());
}

/// Of words that many patterns name, and of some that few do.
fn words(most: usize) -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "a", "b", "*", "*", "**", "r", "s", "t"]);
    prop::collection::vec(segment, 1..most).prop_map(|segments| segments.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Against the patterns themselves, in trees with an anchor and without, of which some go and come between the
    /// parts.
    #[test]
    fn a_walk_in_parts_meets_each_pattern_once(
        patterns in prop::collection::btree_set(words(4), 1..60),
        name in words(5),
        fickle in prop::collection::vec(any::<bool>(), 60),
        changes in prop::collection::vec(any::<bool>(), 1..500),
        limit in 0..4 * TreeWalk::NODE,
    ) {
        let topic = Topic::parse(&name.replace('*', "a")).unwrap();
        let selectors: Vec<_> = patterns
            .iter()
            .filter(|text| text.contains('*'))
            .map(|text| Selector::parse([text.as_str()], []).unwrap())
            .collect();
        let (mut index, mut there) = (TopicIndex::default(), BTreeSet::new());
        let toggle = |index: &mut TopicIndex, there: &mut BTreeSet<usize>, n: usize| {
            if there.remove(&n) {
                index.remove(&selectors[n].topics, |_| false);
            } else {
                index.insert(&selectors[n].topics, SubscriberKey::new(n, 1));
                there.insert(n);
            }
        };
        (0..selectors.len()).for_each(|n| toggle(&mut index, &mut there, n));
        let (mut walk, mut found) = (TreeWalk::default(), Vec::new());
        let mut changes = changes.into_iter().cycle();
        loop {
            walk.go_on(limit);
            if index.walk(&topic, &mut walk, &mut found).is_continue() {
                break;
            }
            for n in (0..selectors.len()).filter(|n| fickle[*n]) {
                if changes.next() == Some(true) {
                    toggle(&mut index, &mut there, n);
                }
            }
        }
        for (n, selector) in selectors.iter().enumerate().filter(|(n, _)| !fickle[*n]) {
            let times = found.iter().filter(|key| key.entry() == n).count();
            prop_assert_eq!(times, usize::from(selector.topics.matches(&topic)), "{:?}", selector);
        }
    }
}

#[test]
fn a_walk_goes_on_in_the_next_tree_from_where_one_that_has_gone_left_it() {
    let mut index = TopicIndex::default();
    let patterns = ["**", "*/b", "a/*", "a/**"];
    let selectors = patterns.map(|text| Selector::parse([text], []).unwrap());
    for (n, selector) in selectors.iter().enumerate() {
        index.insert(&selector.topics, SubscriberKey::new(n, 1));
    }
    let topic = Topic::parse("a/b").unwrap();
    let (mut walk, mut found, mut parts) = (TreeWalk::default(), Vec::new(), 0);
    loop {
        // A node at a time.
        walk.go_on(0);
        if index.walk(&topic, &mut walk, &mut found).is_continue() {
            break;
        }
        parts += 1;
        if parts == 1 {
            // It stopped before this one.
            index.remove(&selectors[1].topics, |_| false);
        }
    }
    let found: Vec<_> = found.iter().map(|key| patterns[key.entry()]).collect();
    assert_eq!(found, ["**", "a/*", "a/**"]);
}

#[test]
fn a_topic_that_meets_no_pattern_counts_for_its_segments() {
    let mut index = TopicIndex::default();
    index.insert(&Selector::parse(["b/**"], []).unwrap().topics, SubscriberKey::new(0, 1));
    let topic = Topic::parse(&vec!["a"; 100].join("/")).unwrap();
    let work = index.visit(&topic, |_| panic!("it concerns nobody"));
    assert!(work >= 100, "{work}");
}
