//! A subscriber's key: how the poller, the index and commands name a subscriber of a shard.
//!
//! What must hold: word of someone who has left is not taken for that of a successor in the same
//! slab entry.

/// A slab entry and the generation of who is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberKey {
    entry: u32,
    generation: u32,
}

impl SubscriberKey {
    /// Slabs have fewer than 2³² entries: each is a connection.
    pub(crate) fn new(entry: usize, generation: u32) -> Self {
        Self { entry: entry as u32, generation }
    }

    pub(crate) fn entry(self) -> usize {
        self.entry as usize
    }

    pub(crate) fn generation(self) -> u32 {
        self.generation
    }

    pub(crate) fn to_token(self) -> mio::Token {
        mio::Token((self.generation as usize) << 32 | self.entry as usize)
    }

    pub(crate) fn from_token(token: mio::Token) -> Self {
        Self { entry: token.0 as u32, generation: (token.0 >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_the_poller_as_it_was() {
        for key in [SubscriberKey::new(0, 0), SubscriberKey::new(70_000, u32::MAX)] {
            assert_eq!(SubscriberKey::from_token(key.to_token()), key);
        }
    }
}
