//! The state file: all state that is handed over, in one sealed memory file.
//!
//! What must hold: what is read is what was written, for a sealed file cannot be changed; and each section is taken by
//! its name, so that one that is not taken is an error and not a loss. A secret is in the file and with its owner, and
//! no copy of it is left anywhere on the way.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use zeroize::Zeroizing;

use crate::codec::{Malformed, Reader, Writer};

/// What the file begins with.
const MAGIC: [u8; 8] = *b"FANFARE\0";
/// All that keeps a file as it is.
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A sealed file of sections.
#[derive(Debug)]
pub struct StateFile(OwnedFd);

/// The sections of a state file that have not been taken yet.
#[derive(Debug)]
pub struct Manifest {
    sections: Vec<Section>,
}

/// A section, which is read from the file as it is read from here.
#[derive(Debug)]
pub struct Section {
    name: String,
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl io::Read for Section {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let count = self.file.read_at(&mut into[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Why a state file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It could still be changed.
    #[error("the state that was handed over is not sealed")]
    Unsealed,
    /// It is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A section is missing.
    #[error("the section {0:?} was not handed over")]
    Missing(&'static str),
    /// There is a section that this program does not know.
    #[error("the section {0:?} was handed over, which this version does not know")]
    Unknown(String),
    /// The system refused.
    #[error("the state cannot be handed over: {0}")]
    Io(#[from] io::Error),
}

impl StateFile {
    /// Writes these sections, and seals them.
    ///
    /// # Errors
    ///
    /// There is no memory for them.
    pub fn seal(sections: &[(&str, &[u8])]) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("fanfare-handover", flags)?;
        let mut file = File::from(file);
        file.write_all(&MAGIC)?;
        let mut header = Writer::new();
        header.count(sections.len());
        for (name, bytes) in sections {
            header.text(name);
            header.count(bytes.len());
        }
        let header = header.finish();
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (_, bytes) in sections {
            file.write_all(bytes)?;
        }
        let file = OwnedFd::from(file);
        fcntl_add_seals(&file, SEALS)?;
        Ok(Self(file))
    }

    /// One that was received.
    pub fn received(file: OwnedFd) -> Self {
        Self(file)
    }

    /// What is in it.
    ///
    /// # Errors
    ///
    /// See [`StateFileError`].
    pub fn open(self) -> Result<Manifest, StateFileError> {
        // Asking an ordinary file for its seals fails: it has none.
        let seals = fcntl_get_seals(&self.0).unwrap_or(SealFlags::empty());
        if !seals.contains(SEALS) {
            return Err(StateFileError::Unsealed);
        }
        let mut file = File::from(self.0);
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut beginning = [0; 16];
        if size < 16 {
            return Err(Malformed("it ends early").into());
        }
        file.read_exact(&mut beginning)?;
        let (magic, length) = beginning.split_at(8);
        if magic != MAGIC {
            return Err(Malformed("it is not the state of a hub").into());
        }
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        if length > size - 16 {
            return Err(Malformed("it ends early").into());
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact(&mut header)?;
        let mut left = size - 16 - length;
        let mut reader = Reader::new(&header);
        let mut names = Vec::new();
        for _ in 0..reader.count()? {
            let (name, length) = (reader.text()?.to_owned(), reader.u64()?);
            left = left.checked_sub(length).ok_or(Malformed("it ends early"))?;
            names.push((name, length));
        }
        reader.end()?;
        if left > 0 {
            return Err(Malformed("it is longer than it says").into());
        }
        let file = Arc::new(file);
        let mut at = 16 + length;
        let sections = names.into_iter().map(|(name, length)| {
            let section = Section { name, file: Arc::clone(&file), at, left: length };
            at += length;
            section
        });
        let sections = sections.collect();
        Ok(Manifest { sections })
    }
}

impl AsFd for StateFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Manifest {
    /// The section of this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn take(&mut self, name: &'static str) -> Result<Vec<u8>, StateFileError> {
        let mut section = self.section(name).ok_or(StateFileError::Missing(name))?;
        let mut bytes = Vec::with_capacity(usize::try_from(section.left).unwrap_or(0));
        section.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The same of a section that holds secrets: what is read of it is overwritten when it is dropped.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn take_secret(
        &mut self,
        name: &'static str,
    ) -> Result<Zeroizing<Vec<u8>>, StateFileError> {
        let mut section = self.section(name).ok_or(StateFileError::Missing(name))?;
        let length = usize::try_from(section.left).map_err(|_| Malformed("it is too long"))?;
        // All of it has its place before it is read: it is not copied on the way.
        let mut bytes = Zeroizing::new(vec![0; length]);
        section.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether there is a section of this name.
    pub fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.name == name)
    }

    /// The section of this name, to be read piece by piece, if there is one.
    pub fn section(&mut self, name: &str) -> Option<Section> {
        let at = self.sections.iter().position(|section| section.name == name)?;
        Some(self.sections.swap_remove(at))
    }

    /// Every section must have been taken.
    ///
    /// # Errors
    ///
    /// The name of one that was not.
    pub fn end(self) -> Result<(), StateFileError> {
        match self.sections.into_iter().next() {
            None => Ok(()),
            Some(section) => Err(StateFileError::Unknown(section.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_as_they_were_written() {
        let large = vec![7; 1 << 20];
        let state_file =
            StateFile::seal(&[("a", &large), ("b", &[]), ("c", &[1]), ("d", &[2, 3])]).unwrap();
        let mut manifest = state_file.open().unwrap();
        assert_eq!(manifest.take("b").unwrap(), []);
        assert_eq!(manifest.take("a").unwrap(), large);
        assert!(matches!(manifest.take("a"), Err(StateFileError::Missing("a"))));
        assert_eq!(**manifest.take_secret("d").unwrap(), [2, 3]);
        assert!(matches!(manifest.take_secret("d"), Err(StateFileError::Missing("d"))));
        let left = manifest.end();
        assert!(matches!(&left, Err(StateFileError::Unknown(name)) if name == "c"), "{left:?}");
    }

    #[test]
    fn the_state_cannot_be_changed_on_its_way() {
        let state_file = StateFile::seal(&[("a", &[1])]).unwrap();
        let copy = state_file.0.try_clone().unwrap();
        assert!(File::from(copy).write_all(b"x").is_err());
        let unsealed = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        let read = StateFile::received(unsealed).open();
        assert!(matches!(read, Err(StateFileError::Unsealed)), "{read:?}");
    }
}
