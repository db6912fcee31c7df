//! A stream: entries in the order of their ids, in blocks, which an approximate trim drops as a whole.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The id of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(pub(crate) u64, pub(crate) u64);

impl EntryId {
    pub(crate) const MIN: Self = Self(0, 0);
    pub(crate) const MAX: Self = Self(u64::MAX, u64::MAX);

    /// Where the second part is missing, it is `rest`.
    pub(crate) fn parse(text: &[u8], rest: u64) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        match text.split_once('-') {
            Some((first, second)) => Some(Self(first.parse().ok()?, second.parse().ok()?)),
            None => Some(Self(text.parse().ok()?, rest)),
        }
    }

    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::MAX => None,
            Self(first, u64::MAX) => Some(Self(first + 1, 0)),
            Self(first, second) => Some(Self(first, second + 1)),
        }
    }

    pub(crate) fn before(self) -> Option<Self> {
        match self {
            Self::MIN => None,
            Self(first, 0) => Some(Self(first - 1, u64::MAX)),
            Self(first, second) => Some(Self(first, second - 1)),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// Names and values, in turn.
pub(crate) type EntryFields = Arc<[Vec<u8>]>;

#[derive(Debug, Clone, Default)]
pub(crate) struct StoredStream {
    blocks: VecDeque<Block>,
    length: usize,
    /// The last id that was ever given.
    pub(crate) last: Option<EntryId>,
}

#[derive(Debug, Clone, Default)]
struct Block {
    entries: VecDeque<(EntryId, EntryFields)>,
    /// How many it has had.
    filled: usize,
}

/// How much of a stream goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trim {
    pub(crate) bound: Bound,
    /// Whole blocks only.
    pub(crate) is_approximate: bool,
}

/// What may stay.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    Length(usize),
    From(EntryId),
}

impl StoredStream {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn first(&self) -> Option<&(EntryId, EntryFields)> {
        self.blocks.front()?.entries.front()
    }

    /// Appends; `id` must be later than the last. A block holds `block` entries.
    pub(crate) fn push(&mut self, id: EntryId, fields: EntryFields, block: usize) {
        if self.blocks.back().is_none_or(|last| last.filled >= block) {
            self.blocks.push_back(Block::default());
        }
        if let Some(last) = self.blocks.back_mut() {
            last.entries.push_back((id, fields));
            last.filled += 1;
        }
        self.length += 1;
        self.last = Some(id);
    }

    pub(crate) fn range(
        &self,
        from: EntryId,
        until: EntryId,
    ) -> impl DoubleEndedIterator<Item = &(EntryId, EntryFields)> {
        let entries = self.blocks.iter().flat_map(|block| block.entries.iter());
        entries.filter(move |(id, _)| (from..=until).contains(id))
    }

    /// How many went. An approximate trim drops no more than `most` at once.
    pub(crate) fn trim(&mut self, trim: Trim, most: usize) -> usize {
        let Trim { bound, is_approximate } = trim;
        let mut gone = 0;
        while let Some(block) = self.blocks.front_mut() {
            let count = block.entries.len();
            let goes = match bound {
                Bound::Length(length) if self.length <= length => break,
                Bound::Length(length) => self.length - count >= length,
                Bound::From(id) => block.entries.back().is_none_or(|(last, _)| *last < id),
            };
            if is_approximate && gone + count > most {
                break;
            }
            if goes {
                self.blocks.pop_front();
                self.length -= count;
                gone += count;
                continue;
            }
            if is_approximate {
                break;
            }
            while let Some((id, _)) = block.entries.front() {
                let goes = match bound {
                    Bound::Length(length) => self.length > length,
                    Bound::From(from) => *id < from,
                };
                if !goes {
                    break;
                }
                block.entries.pop_front();
                self.length -= 1;
                gone += 1;
            }
            break;
        }
        gone
    }

    /// How many of these there were.
    pub(crate) fn delete(&mut self, id: EntryId) -> usize {
        for at in 0..self.blocks.len() {
            let block = &mut self.blocks[at];
            if let Some(found) = block.entries.iter().position(|(its, _)| *its == id) {
                block.entries.remove(found);
                if block.entries.is_empty() {
                    self.blocks.remove(at);
                }
                self.length -= 1;
                return 1;
            }
        }
        0
    }
}
