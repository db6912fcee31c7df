//! Idempotency keys that have outlived their segments, as a file: `keys`.
//!
//! A key is written with its batch, so it is as durable as that. Where the batch's segment is to be
//! unlinked before the key's window has ended, it is written here first.
//!
//! ```text
//! magic                8 bytes
//! entry, any number    u16 length of the key, u64 time, u64 u64 position, u32 events, key, u32 checksum
//! ```
//!
//! What must hold: an entry is durable before its segment goes. The file is appended to, and
//! written anew when half of it may have ended, so that it has at most about twice the bytes of the
//! keys within their window. A key is any bytes.

use std::io;
use std::sync::Arc;

use fanfare_event::{Position, Timestamp};

use crate::storage::{Storage, StoredFile, read_file, replace, write_all};
use fanfare_log::bytes::{ByteReader, seal, unseal};

/// Its name.
pub(crate) const NAME: &str = "keys";

const MAGIC: &[u8; 8] = b"FFKEYS01";

/// An entry without its key, in bytes.
const FIXED: usize = 34;

/// No more than this is read of it: a hundred million keys.
const LIMIT: u64 = 16 << 30;

/// Below this size the file is not written anew, in bytes.
const SMALL: u64 = 1 << 20;

/// What a key was first answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptKey {
    pub key: Box<[u8]>,
    /// The batch's first event.
    pub first: Position,
    /// How many events the batch had.
    pub count: u32,
    /// When it was accepted: the window begins here.
    pub time: Timestamp,
}

impl KeptKey {
    /// Whether its window of so many milliseconds has not ended by the wall clock, which is all that a start has
    /// to go by.
    pub(crate) fn is_within(&self, window: u64, now: Timestamp) -> bool {
        self.time.as_millis().saturating_add(window) > now.as_millis()
    }
}

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct StoredKeys {
    pub keys: Vec<KeptKey>,
    /// How much of it makes sense, and how much there is, in bytes.
    pub whole: u64,
    pub size: u64,
}

/// The file, as the writer keeps it.
#[derive(Default)]
pub(crate) struct KeysFile {
    file: Option<Arc<dyn StoredFile>>,
    size: u64,
    /// The size at which it is written anew.
    most: u64,
}

/// Reads it. What a write left unfinished, and what comes behind damage, is not among the keys.
pub(crate) fn load(storage: &dyn Storage) -> io::Result<StoredKeys> {
    let bytes = match read_file(storage, NAME, LIMIT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(StoredKeys::default()),
        bytes => bytes?,
    };
    let mut found = StoredKeys { size: bytes.len() as u64, ..StoredKeys::default() };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return Ok(found) };
    found.whole = MAGIC.len() as u64;
    while let Some((key, length)) = decode(rest) {
        found.keys.push(key);
        found.whole += length as u64;
        rest = &rest[length..];
    }
    Ok(found)
}

impl KeysFile {
    /// Adds keys, durably. After an error none of them counts as written.
    pub(crate) fn append(
        &mut self,
        storage: &dyn Storage,
        keys: &[KeptKey],
        lives: impl Fn(&KeptKey) -> bool,
    ) -> io::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        keys.iter().for_each(|key| encode(&mut bytes, key));
        match &self.file {
            Some(file) if self.size + bytes.len() as u64 <= self.most => {
                write_all(&**file, &bytes, self.size).and_then(|()| file.sync())?;
                self.size += bytes.len() as u64;
                Ok(())
            }
            _ => {
                let mut all = load(storage)?.keys;
                all.extend_from_slice(keys);
                all.retain(lives);
                self.write(storage, &all)
            }
        }
    }

    /// Writes it anew with these keys, durably.
    pub(crate) fn write(&mut self, storage: &dyn Storage, keys: &[KeptKey]) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        keys.iter().for_each(|key| encode(&mut bytes, key));
        // Whatever fails, the next addition writes the file anew.
        self.file = None;
        replace(storage, NAME, &bytes)?;
        storage.sync_dir()?;
        self.file = Some(storage.open(NAME)?);
        self.size = bytes.len() as u64;
        self.most = (2 * self.size).max(SMALL);
        Ok(())
    }
}

pub(crate) fn encode(into: &mut Vec<u8>, kept: &KeptKey) {
    let key = &kept.key[..kept.key.len().min(usize::from(u16::MAX))];
    let mut entry = Vec::with_capacity(FIXED + key.len());
    entry.extend_from_slice(&(key.len() as u16).to_le_bytes());
    for number in [kept.time.as_millis(), kept.first.epoch, kept.first.seq] {
        entry.extend_from_slice(&number.to_le_bytes());
    }
    entry.extend_from_slice(&kept.count.to_le_bytes());
    entry.extend_from_slice(key);
    seal(&mut entry);
    into.extend_from_slice(&entry);
}

/// The entry in front, and its length.
pub(crate) fn decode(bytes: &[u8]) -> Option<(KeptKey, usize)> {
    let length = FIXED + usize::from(ByteReader(bytes).u16()?);
    let mut cut = unseal(bytes.get(..length)?)?;
    cut.u16()?;
    let time = Timestamp(cut.u64()?);
    let first = Position::new(cut.u64()?, cut.u64()?);
    let count = cut.u32()?;
    Some((KeptKey { key: cut.0.into(), first, count, time }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_bytes_survives_and_damage_ends_the_file() {
        let key = |n: u8| KeptKey {
            key: vec![n; usize::from(n) * 300].into(),
            first: Position::new(7, n.into()),
            count: 2,
            time: Timestamp(99),
        };
        let mut bytes = Vec::new();
        (0..3).for_each(|n| encode(&mut bytes, &key(n)));
        let mut rest = bytes.as_slice();
        for n in 0..3 {
            let (found, length) = decode(rest).unwrap();
            assert_eq!(found, key(n));
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        for at in 0..FIXED {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_none());
        }
    }
}
