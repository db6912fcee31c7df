//! The disk as the log sees it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanfare_disk::{Storage, StoredFile};

use super::content::{FileChange, FileContent, write_into};
use super::{DiskContents, DiskFault, NameChange, SimulatedDisk};

struct Handle {
    disk: SimulatedDisk,
    file: usize,
}

impl Storage for SimulatedDisk {
    fn place(&self) -> String {
        "a simulated disk".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let world = self.world();
        match world.names.get(name) {
            Some(&file) => Ok(Arc::new(Handle { disk: self.clone(), file })),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        self.before_change.call();
        let mut world = self.world();
        let fault = world.operate()?;
        DiskContents::check(fault)?;
        if world.refused == name {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = world.files.len();
        world.files.push(FileContent::default());
        world.names.insert(name.to_owned(), file);
        world.renames.push(NameChange::Set(name.to_owned(), file));
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.before_change.call();
        let mut world = self.world();
        let fault = world.operate()?;
        DiskContents::check(fault)?;
        let file = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), file);
        world.renames.push(NameChange::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.before_change.call();
        let mut world = self.world();
        let fault = world.operate()?;
        DiskContents::check(fault)?;
        if world.held == name {
            return Err(io::Error::other("input/output error"));
        }
        world.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        world.renames.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn boot(&self) -> Option<u128> {
        Some(self.world().boot)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.before_change.call();
        let mut world = self.world();
        let fault = world.operate()?;
        DiskContents::check(fault)?;
        world.durable_names = world.names.clone();
        world.renames.clear();
        Ok(())
    }
}

impl StoredFile for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.world().files[self.file].now.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.disk.reading.hook.call();
        let mut world = self.disk.world();
        let rest = world.files[self.file].now.get(at as usize..).unwrap_or(&[]);
        let length = rest.len().min(into.len()) as u64;
        let length = world.give(self.file, at..at + length)?;
        if length > 0 {
            let at = at as usize;
            into[..length].copy_from_slice(&world.files[self.file].now[at..at + length]);
        }
        self.disk.reading.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.disk.before_change.call();
        let mut guard = self.disk.world();
        let world = &mut *guard;
        let mut fault = world.operate()?;
        let left = world.room.saturating_sub(world.used()) as usize;
        let mut length = bytes.len();
        if left < length {
            (fault, length) = (fault.or(Some(DiskFault::Full)), left);
        } else if fault == Some(DiskFault::Short) {
            length = world.rng.usize(1..=length);
        } else if fault.is_some() {
            length = world.rng.usize(..=length);
        }
        let part = bytes[..length].to_vec();
        let content = &mut world.files[self.file];
        write_into(&mut content.now, at, &part);
        content.changes.push(FileChange::Write(at, part));
        DiskContents::check(fault)?;
        Ok(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.before_change.call();
        let mut guard = self.disk.world();
        let world = &mut *guard;
        let fault = world.operate()?;
        let content = &mut world.files[self.file];
        if fault.is_some_and(|fault| fault != DiskFault::Short) {
            // What was to be synced is dropped or not: chance decides now, and a further sync
            // would succeed without changing that.
            let now = content.now.clone();
            content.settle(&mut world.rng);
            content.now = now;
        }
        DiskContents::check(fault)?;
        content.durable = content.now.clone();
        content.changes.clear();
        Ok(())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.before_change.call();
        let mut world = self.disk.world();
        let fault = world.operate()?;
        DiskContents::check(fault)?;
        let content = &mut world.files[self.file];
        content.now.resize(size as usize, 0);
        content.changes.push(FileChange::Truncate(size));
        Ok(())
    }
}
