//! How topics are spread over subscribers: evenly, each topic having at least one.

/// Where there are more subscribers than topics, each subscribes to one; otherwise each subscribes
/// to several, and every topic has exactly one subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    subscribers: u32,
    topics: u32,
}

impl Spread {
    pub(crate) const fn new(subscribers: u32, topics: u32) -> Self {
        Self { subscribers, topics }
    }

    /// The topics that `subscriber` subscribes to.
    pub(crate) fn topics_of(self, subscriber: u32) -> impl Iterator<Item = u32> {
        (subscriber % self.topics..self.topics).step_by(self.subscribers as usize)
    }

    /// How many topics a subscriber has at most.
    pub(crate) const fn most_topics_each(self) -> u32 {
        self.topics.div_ceil(self.subscribers)
    }

    /// Which of its topics `topic` is to `subscriber`, from 0; `None` where it is none of them.
    pub(crate) fn index(self, subscriber: u32, topic: u32) -> Option<u32> {
        let first = subscriber % self.topics;
        if topic == first {
            return Some(0);
        }
        let mine = self.topics > self.subscribers
            && topic < self.topics
            && topic % self.subscribers == first;
        mine.then(|| topic / self.subscribers)
    }

    /// How many subscribers `topic` has.
    pub(crate) const fn fan_out(self, topic: u32) -> u32 {
        if self.topics > self.subscribers {
            return 1;
        }
        self.subscribers / self.topics + (topic < self.subscribers % self.topics) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_fan_out_agree_with_the_list_of_topics() {
        for (subscribers, topics) in
            [(1, 1), (7, 1), (7, 3), (6, 3), (5, 5), (3, 7), (4, 8), (1, 9)]
        {
            let spread = Spread::new(subscribers, topics);
            let mut fan_out = vec![0; topics as usize];
            for subscriber in 0..subscribers {
                let mine: Vec<_> = spread.topics_of(subscriber).collect();
                assert!((1..=spread.most_topics_each() as usize).contains(&mine.len()));
                for topic in 0..topics + 3 {
                    let place = mine.iter().position(|&t| t == topic).map(|n| n as u32);
                    assert_eq!(spread.index(subscriber, topic), place, "{spread:?} {topic}");
                }
                mine.iter().for_each(|&topic| fan_out[topic as usize] += 1);
            }
            for topic in 0..topics {
                assert_eq!(spread.fan_out(topic), fan_out[topic as usize], "{spread:?} {topic}");
            }
        }
    }
}
