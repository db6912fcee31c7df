//! Extras: what few events have. An event without them pays for one pointer that is null.
//!
//! What must hold: an event is of each topic once, and of [`Extras::MAX_TOPICS`] at most; extras that say
//! nothing are none.

use crate::{EventId, Topic};

/// What few events have beside a topic, a type and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extras {
    others: Box<[Topic]>,
    private: bool,
    id: Option<EventId>,
    retry: Option<u64>,
}

/// More topics than [`Extras::MAX_TOPICS`], the canonical one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has at most {max} topics, this one {0}", max = Extras::MAX_TOPICS)]
pub struct TooManyTopics(pub usize);

impl Extras {
    /// The most topics that one event has, the canonical one included: each is looked up and compared
    /// with patterns as that of an event of its own would be.
    pub const MAX_TOPICS: usize = 32;

    /// Of an event whose canonical topic is `topic`, of the others too. Those named twice count once.
    ///
    /// # Errors
    ///
    /// [`TooManyTopics`], by what is left of them.
    pub fn new(
        topic: &Topic,
        others: impl IntoIterator<Item = Topic>,
        private: bool,
        id: Option<EventId>,
    ) -> Result<Option<Box<Self>>, TooManyTopics> {
        let mut distinct: Vec<Topic> = Vec::new();
        for other in others {
            if other != *topic && !distinct.contains(&other) {
                distinct.push(other);
                // A bounded number of comparisons, however many there are.
                if distinct.len() >= Self::MAX_TOPICS {
                    return Err(TooManyTopics(distinct.len() + 1));
                }
            }
        }
        if distinct.is_empty() && !private && id.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self { others: distinct.into(), private, id, retry: None })))
    }

    /// The same, of an event whose publisher also says after how many milliseconds whoever has received it is to
    /// come back.
    pub fn with_retry(extras: Option<Box<Self>>, retry: Option<u64>) -> Option<Box<Self>> {
        match (extras, retry) {
            (extras, None) => extras,
            (None, retry) => {
                Some(Box::new(Self { others: Box::default(), private: false, id: None, retry }))
            }
            (Some(mut extras), retry) => {
                extras.retry = retry;
                Some(extras)
            }
        }
    }

    /// The topics beside the canonical one, in the publisher's order.
    pub fn others(&self) -> &[Topic] {
        &self.others
    }

    /// Whether only those hear it who were granted one of its topics by name of their own.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// What its publisher calls it.
    pub fn id(&self) -> Option<&EventId> {
        self.id.as_ref()
    }

    /// After how many milliseconds whoever has received it is to come back, once its connection is lost.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Lets `name` replace the other topics by equal ones, which share their names with others.
    pub fn share_names(&mut self, mut name: impl FnMut(&Topic) -> Topic) {
        self.others.iter_mut().for_each(|topic| *topic = name(topic));
    }

    /// What they occupy in memory, in bytes; an id also in the index that finds it again.
    pub fn weight(&self) -> usize {
        const ID_OVERHEAD: usize = 64;
        let others = self.others.iter().map(|topic| topic.as_str().len() + size_of::<Topic>());
        let id = self.id.as_ref().map_or(0, |id| id.as_str().len() + ID_OVERHEAD);
        size_of::<Self>() + others.sum::<usize>() + id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    #[test]
    fn a_topic_named_twice_counts_once() {
        let others = ["b", "a", "b", "c"].map(topic);
        let extras = Extras::new(&topic("a"), others, false, None).unwrap().unwrap();
        assert_eq!(extras.others(), ["b", "c"].map(topic));
        assert_eq!(Extras::new(&topic("a"), [topic("a")], false, None), Ok(None));
    }

    #[test]
    fn a_time_to_come_back_is_kept_beside_anything_or_nothing() {
        assert_eq!(Extras::with_retry(None, None), None);
        assert_eq!(Extras::with_retry(None, Some(0)).unwrap().retry(), Some(0));
        let private = Extras::new(&topic("a"), [], true, None).unwrap();
        let both = Extras::with_retry(private, Some(7)).unwrap();
        assert_eq!((both.is_private(), both.retry()), (true, Some(7)));
    }

    #[test]
    fn an_event_has_a_bounded_number_of_topics() {
        let others = |n: usize| (0..n).map(|n| topic(&format!("t/{n}")));
        assert!(Extras::new(&topic("a"), others(31), false, None).is_ok());
        assert_eq!(Extras::new(&topic("a"), others(32), false, None), Err(TooManyTopics(33)));
        assert_eq!(
            Extras::new(&topic("a"), others(1_000_000), false, None),
            Err(TooManyTopics(33))
        );
    }
}
