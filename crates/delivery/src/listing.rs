//! A listing: who is subscribed, a page at a time, for an operator to look at.
//!
//! What must hold: a page that comes back short says where to go on.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use fanfare_event::Topic;
use fanfare_hub::Interest;

use crate::subscriber_key::SubscriberKey;

/// A subscriber's name for as long as it is connected, `<shard>-<entry>-<generation>`; opaque to
/// whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriberId {
    pub(crate) shard: usize,
    pub(crate) key: SubscriberKey,
}

/// A text is not the name of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subscriber's id is three numbers joined by `-`, as listed")]
pub struct InvalidSubscriberId;

/// Where a page of the list begins, `<shard>-<entry>`; opaque to whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListFrom {
    pub(crate) shard: usize,
    pub(crate) entry: usize,
}

/// A text is not a place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place in the list is two numbers joined by `-`, as given with the page before")]
pub struct InvalidListFrom;

/// One subscriber, as listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// By which it can be cut.
    pub id: SubscriberId,
    /// The other end's address, where delivery holds the socket itself.
    pub peer: Option<SocketAddr>,
    /// What it wants.
    pub interest: Arc<Interest>,
    /// For how long it has been subscribed, in seconds.
    pub connected: u64,
    /// How many events it is behind.
    pub lag: u64,
    /// Whether its connection takes no more for now.
    pub blocked: bool,
}

/// A page of the list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// At most as many as were asked for.
    pub subscribers: Vec<Listed>,
    /// Where to go on, if there may be more.
    pub next: Option<ListFrom>,
}

/// How many subscribers events of a topic concern; one with several matching topics and patterns counts for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicCount {
    /// As many as were found.
    pub subscribers: usize,
    /// Whether there may be more: finding them all would have taken longer than a turn may.
    pub more: bool,
}

/// What a shard is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) from: ListFrom,
    pub(crate) limit: usize,
    /// Only who receives events of this topic.
    pub(crate) topic: Option<Topic>,
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.shard, self.key.entry(), self.key.generation())
    }
}

impl FromStr for SubscriberId {
    type Err = InvalidSubscriberId;

    fn from_str(text: &str) -> Result<Self, InvalidSubscriberId> {
        let mut numbers = text.split('-').map(|number| number.parse::<u32>().ok());
        let mut next = || numbers.next().flatten().ok_or(InvalidSubscriberId);
        let (shard, entry, generation) = (next()?, next()?, next()?);
        if numbers.next().is_some() {
            return Err(InvalidSubscriberId);
        }
        Ok(Self { shard: shard as usize, key: SubscriberKey::new(entry as usize, generation) })
    }
}

impl fmt::Display for ListFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard, self.entry)
    }
}

impl FromStr for ListFrom {
    type Err = InvalidListFrom;

    fn from_str(text: &str) -> Result<Self, InvalidListFrom> {
        let (shard, entry) = text.split_once('-').ok_or(InvalidListFrom)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| InvalidListFrom);
        Ok(Self { shard: number(shard)? as usize, entry: number(entry)? as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was_and_nonsense_is_no_name() {
        let id = SubscriberId { shard: 3, key: SubscriberKey::new(70_000, u32::MAX) };
        assert_eq!(id.to_string().parse(), Ok(id));
        let from = ListFrom { shard: 1, entry: 9 };
        assert_eq!(from.to_string().parse(), Ok(from));
        for text in ["", "1", "1-2", "1-2-x", "1-2-3-4", "-1-2-3", "1-2-4294967296"] {
            assert_eq!(text.parse::<SubscriberId>(), Err(InvalidSubscriberId), "{text}");
        }
        for text in ["", "1", "a-1", "1-", "1-2-3"] {
            assert_eq!(text.parse::<ListFrom>(), Err(InvalidListFrom), "{text}");
        }
    }
}
