//! The keys of a server, and what is kept under them.

use std::collections::{BTreeMap, VecDeque};

use crate::reply::Reply;
use crate::stream::StoredStream;

#[derive(Debug, Clone, Default)]
pub(crate) struct Database {
    keys: BTreeMap<Vec<u8>, KeyEntry>,
}

#[derive(Debug, Clone)]
struct KeyEntry {
    stored: Stored,
    /// In milliseconds since 1970.
    ends: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) enum Stored {
    Text(Vec<u8>),
    /// In the order in which fields came.
    Hash(Vec<HashField>),
    List(VecDeque<Vec<u8>>),
    Stream(StoredStream),
}

/// A name and a value.
pub(crate) type HashField = (Vec<u8>, Vec<u8>);

impl Database {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn get(&self, key: &[u8], now: u64) -> Option<&Stored> {
        let kept = self.keys.get(key)?;
        kept.ends.is_none_or(|ends| now <= ends).then_some(&kept.stored)
    }

    pub(crate) fn set(&mut self, key: &[u8], stored: Stored, ends: Option<u64>) {
        self.keys.insert(key.to_vec(), KeyEntry { stored, ends });
    }

    /// When a key's time is over, if it has one.
    pub(crate) fn ends(&self, key: &[u8]) -> Option<u64> {
        self.keys.get(key)?.ends
    }

    pub(crate) fn remove(&mut self, key: &[u8], now: u64) -> bool {
        let was = self.get(key, now).is_some();
        self.keys.remove(key);
        was
    }

    /// Whether there was such a key.
    pub(crate) fn end_at(&mut self, key: &[u8], at: u64, now: u64) -> bool {
        self.remove_expired(key, now);
        self.keys.get_mut(key).map(|kept| kept.ends = Some(at)).is_some()
    }

    pub(crate) fn text(&self, key: &[u8], now: u64) -> Result<Option<&[u8]>, Reply> {
        match self.get(key, now) {
            None => Ok(None),
            Some(Stored::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Reply::wrong_type()),
        }
    }

    pub(crate) fn hash(&self, key: &[u8], now: u64) -> Result<&[HashField], Reply> {
        match self.get(key, now) {
            None => Ok(&[]),
            Some(Stored::Hash(fields)) => Ok(fields),
            Some(_) => Err(Reply::wrong_type()),
        }
    }

    pub(crate) fn stream(&self, key: &[u8], now: u64) -> Result<Option<&StoredStream>, Reply> {
        match self.get(key, now) {
            None => Ok(None),
            Some(Stored::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(Reply::wrong_type()),
        }
    }

    pub(crate) fn list(&self, key: &[u8], now: u64) -> Result<Option<&VecDeque<Vec<u8>>>, Reply> {
        match self.get(key, now) {
            None => Ok(None),
            Some(Stored::List(list)) => Ok(Some(list)),
            Some(_) => Err(Reply::wrong_type()),
        }
    }

    /// Makes it an empty one where there is none.
    pub(crate) fn hash_mut(&mut self, key: &[u8], now: u64) -> Result<&mut Vec<HashField>, Reply> {
        match self.entry(key, now, || Stored::Hash(Vec::new())) {
            Stored::Hash(fields) => Ok(fields),
            _ => Err(Reply::wrong_type()),
        }
    }

    /// The same.
    pub(crate) fn list_mut(
        &mut self,
        key: &[u8],
        now: u64,
    ) -> Result<&mut VecDeque<Vec<u8>>, Reply> {
        match self.entry(key, now, || Stored::List(VecDeque::new())) {
            Stored::List(list) => Ok(list),
            _ => Err(Reply::wrong_type()),
        }
    }

    /// The same.
    pub(crate) fn stream_mut(&mut self, key: &[u8], now: u64) -> Result<&mut StoredStream, Reply> {
        match self.entry(key, now, || Stored::Stream(StoredStream::default())) {
            Stored::Stream(stream) => Ok(stream),
            _ => Err(Reply::wrong_type()),
        }
    }

    fn entry(&mut self, key: &[u8], now: u64, empty: impl FnOnce() -> Stored) -> &mut Stored {
        self.remove_expired(key, now);
        let kept = self.keys.entry(key.to_vec());
        &mut kept.or_insert_with(|| KeyEntry { stored: empty(), ends: None }).stored
    }

    /// Takes away what is over.
    fn remove_expired(&mut self, key: &[u8], now: u64) {
        if self.get(key, now).is_none() {
            self.keys.remove(key);
        }
    }
}
