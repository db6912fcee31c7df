//! The busiest topics, found in bounded memory however many topics there are.
//!
//! It is the Space-Saving sketch (Metwally, Agrawal and El Abbadi, 2005) with counts that fade, so
//! that it speaks of the last seconds. What must hold: a rate is never overstated; a topic busier
//! than the sum of all by [`COUNTERS`] is never missed.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_event::{Timestamp, Topic};

use crate::TopicKey;

/// How many topics are counted at once.
const COUNTERS: usize = 128;
/// How long a count takes to fade to 1/e.
const FADING: Duration = Duration::from_secs(10);
/// What has faded below this is forgotten.
const NOTHING: f64 = 0.01;

/// A topic and how much is published to it.
#[derive(Debug, Clone, PartialEq)]
pub struct BusyTopic {
    /// Which.
    pub topic: Topic,
    /// Events a second, averaged over about ten seconds: at least this many.
    pub rate: f64,
}

/// The counters. An event costs one look-up, and where its topic is not among them one pass over
/// all.
#[derive(Debug, Default)]
pub(crate) struct Busiest {
    places: HashMap<TopicKey, usize>,
    counters: Vec<Counter>,
    faded: Option<Timestamp>,
}

#[derive(Debug)]
struct Counter {
    key: TopicKey,
    topic: Topic,
    count: f64,
    /// How much of the count may be due to others that had this counter before.
    inherited: f64,
}

impl Busiest {
    /// Counts an event.
    pub(crate) fn count(&mut self, key: TopicKey, topic: &Topic) {
        if let Some(place) = self.places.get(&key) {
            self.counters[*place].count += 1.0;
            return;
        }
        let least = if self.counters.len() < COUNTERS {
            None
        } else {
            let counts = self.counters.iter().enumerate();
            counts.min_by(|(_, a), (_, b)| a.count.total_cmp(&b.count)).map(|(place, _)| place)
        };
        let inherited = least.map_or(0.0, |place| self.counters[place].count);
        let counter = Counter { key, topic: topic.clone(), count: inherited + 1.0, inherited };
        let place = match least {
            Some(place) => {
                self.places.remove(&self.counters[place].key);
                self.counters[place] = counter;
                place
            }
            None => {
                self.counters.push(counter);
                self.counters.len() - 1
            }
        };
        self.places.insert(key, place);
    }

    /// The busiest, busiest first, and lets all counts fade. To be called about once a second.
    pub(crate) fn rank(&mut self, now: Timestamp, limit: usize) -> Vec<BusyTopic> {
        let since = self.faded.replace(now).unwrap_or(now);
        let passed = now.as_millis().saturating_sub(since.as_millis()).max(1) as f64 / 1e3;
        let keep = (-passed / FADING.as_secs_f64()).exp();
        for counter in &mut self.counters {
            counter.count *= keep;
            counter.inherited *= keep;
        }
        self.counters.retain(|counter| counter.count >= NOTHING);
        self.counters.shrink_to(COUNTERS);
        let keys = self.counters.iter().enumerate().map(|(place, counter)| (counter.key, place));
        self.places = keys.collect();

        // What a steady rate of 1 comes to when it is looked at in this rhythm.
        let steady = passed * keep / (1.0 - keep);
        let mut busy: Vec<_> = self
            .counters
            .iter()
            .map(|counter| BusyTopic {
                topic: counter.topic.clone(),
                rate: (counter.count - counter.inherited) / steady,
            })
            .collect();
        busy.sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.topic.cmp(&b.topic)));
        busy.truncate(limit);
        busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(busiest: &mut Busiest, name: &str, times: usize) {
        let topic = Topic::parse(name).unwrap();
        (0..times).for_each(|_| busiest.count(TopicKey::of(&topic), &topic));
    }

    #[test]
    fn a_flood_of_topics_does_not_hide_the_busy_ones() {
        let mut busiest = Busiest::default();
        let mut busy = Vec::new();
        for second in 0..60 {
            publish(&mut busiest, "busy", 300);
            (0..1_000).for_each(|n| publish(&mut busiest, &format!("rare/{second}/{n}"), 1));
            publish(&mut busiest, "steady", 100);
            assert!(busiest.counters.len() <= COUNTERS && busiest.places.len() <= COUNTERS);
            busy = busiest.rank(Timestamp(second * 1_000), 2);
        }
        assert_eq!(busy.iter().map(|b| b.topic.as_str()).collect::<Vec<_>>(), ["busy", "steady"]);
        assert!((290.0..=301.0).contains(&busy[0].rate), "{busy:?}");
        assert!(busy[1].rate <= 101.0, "a rate is overstated: {busy:?}");
    }

    #[test]
    fn a_topic_that_has_fallen_silent_goes() {
        let mut busiest = Busiest::default();
        publish(&mut busiest, "loud", 1_000);
        busiest.rank(Timestamp(0), 10);
        let faded = busiest.rank(Timestamp(120_000), 10);
        assert_eq!(faded, []);
        assert!(busiest.places.is_empty());
    }
}
