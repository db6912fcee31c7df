//! A disk in memory that fails as told, and forgets at a crash what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use fanfare_log::disk::{Storage, StoredFile};
use fastrand::Rng;

/// What goes wrong with one operation that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// The machine stops, in the middle of the operation where it is a write. Everything after
    /// fails too.
    Crash,
    /// Only a part is written, which is no error.
    Short,
    /// There is no room; a part may have been written.
    Full,
    /// The device reports an error; a part may have been written.
    Error,
}

/// What reaches the medium as a whole or not at all, in bytes: less than in truth, so that there
/// are more places at which a record can be torn.
const PAGE: usize = 128;

/// The disk. Cloning shares it.
#[derive(Clone)]
pub struct SimulatedDisk {
    world: Arc<Mutex<World>>,
    reading: Reading,
    before_change: Hook,
}

/// What happens whenever something is read, and how many bytes were.
#[derive(Clone, Default)]
struct Reading {
    hook: Hook,
    bytes: Arc<AtomicU64>,
}

/// What is called before an operation, if anything is. Not while it is being called.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Option<HookFn>>>);

type HookFn = Box<dyn FnMut() + Send>;

impl Hook {
    fn set(&self, hook: impl FnMut() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(hook));
    }

    fn call(&self) {
        let taken = self.0.lock().unwrap().take();
        if let Some(mut hook) = taken {
            hook();
            self.0.lock().unwrap().get_or_insert(hook);
        }
    }
}

struct World {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What happened to names since the directory was synced.
    renames: Vec<NameChange>,
    files: Vec<Content>,
    operations: u64,
    faults: BTreeMap<u64, DiskFault>,
    crashed: bool,
    boot: u128,
    refused: String,
    held: String,
    /// How many bytes all files together may have.
    room: u64,
    rng: Rng,
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Move(String, String),
    Remove(String),
}

#[derive(Default, Clone)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// What happened since the last sync.
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

struct Handle {
    disk: SimulatedDisk,
    file: usize,
}

fn crashed() -> io::Error {
    io::Error::other("the machine has crashed")
}

fn write_into(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (at, end) = (at as usize, at as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

impl SimulatedDisk {
    /// An empty disk; the seed decides what a crash leaves.
    pub fn new(seed: u64) -> Self {
        let world = World {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            files: Vec::new(),
            operations: 0,
            faults: BTreeMap::new(),
            crashed: false,
            boot: 1,
            refused: String::new(),
            held: String::new(),
            room: u64::MAX,
            rng: Rng::with_seed(seed),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            reading: Reading::default(),
            before_change: Hook::default(),
        }
    }

    /// Calls `hook` before each read, while no lock is held; it may write to the log.
    pub fn before_each_read(&self, hook: impl FnMut() + Send + 'static) {
        self.reading.hook.set(hook);
    }

    /// Calls `hook` before each operation that changes something, while no lock is held.
    pub fn before_each_change(&self, hook: impl FnMut() + Send + 'static) {
        self.before_change.set(hook);
    }

    /// Calls nothing before a read any more.
    pub fn read_quietly(&self) {
        *self.reading.hook.0.lock().unwrap() = None;
    }

    /// How many bytes were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.reading.bytes.load(Ordering::Relaxed)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The operation that changes something, `ahead` from now, goes wrong.
    pub fn fail(&self, ahead: u64, fault: DiskFault) {
        let mut world = self.world();
        let at = world.operations + ahead;
        world.faults.insert(at, fault);
    }

    /// What was to go wrong does not.
    pub fn mend(&self) {
        self.world().faults.clear();
    }

    /// Lets the disk be full, or not.
    pub fn set_room(&self, bytes: u64) {
        self.world().room = bytes;
    }

    /// Lets nothing of this name be created; an empty name ends that.
    pub fn refuse_to_create(&self, name: &str) {
        self.world().refused = name.to_owned();
    }

    /// Lets nothing of this name be removed; an empty name ends that.
    pub fn refuse_to_remove(&self, name: &str) {
        self.world().held = name.to_owned();
    }

    /// How many bytes all files have.
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// Whether the machine has stopped.
    pub fn has_crashed(&self) -> bool {
        self.world().crashed
    }

    /// Stops the machine and starts it again: of what was not synced, chance decides.
    pub fn restart(&self) {
        let mut guard = self.world();
        let world = &mut *guard;
        let mut names = world.durable_names.clone();
        // A file system keeps the order of changes to names, and loses some last ones.
        let kept = world.rng.usize(..=world.renames.len());
        for change in world.renames.drain(..).take(kept) {
            match change {
                NameChange::Set(name, file) => {
                    names.insert(name, file);
                }
                NameChange::Move(from, to) => {
                    if let Some(file) = names.remove(&from) {
                        names.insert(to, file);
                    }
                }
                NameChange::Remove(name) => {
                    names.remove(&name);
                }
            }
        }
        for content in &mut world.files {
            content.settle(&mut world.rng);
        }
        world.names = names.clone();
        world.durable_names = names;
        world.faults.clear();
        world.crashed = false;
        world.boot += 1;
    }

    /// Starts the process again where only that has stopped: what it had written is still there.
    pub fn restart_process(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.crashed = false;
    }

    /// Lets every operation wait for as long as what is returned lives.
    pub fn hold(&self) -> impl Sized + '_ {
        self.world()
    }

    /// Whether a crash would lose something.
    pub fn is_synced(&self) -> bool {
        let world = self.world();
        world.renames.is_empty()
            && world.names.values().all(|&file| world.files[file].changes.is_empty())
    }

    /// Takes a file away, as an operator may.
    pub fn remove(&self, name: &str) {
        self.world().names.remove(name);
        self.world().durable_names.remove(name);
    }

    /// What a file holds.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let world = self.world();
        world.files[world.names[name]].now.clone()
    }

    /// Puts a file there, on the medium at once.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut world = self.world();
        let file = world.files.len();
        world.files.push(Content { now: bytes.clone(), durable: bytes, changes: Vec::new() });
        world.names.insert(name.to_owned(), file);
        world.durable_names.insert(name.to_owned(), file);
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }

    /// Another disk with the same content.
    pub fn copy(&self) -> Self {
        let copy = Self::new(0);
        for name in self.names() {
            copy.put(&name, self.read(&name));
        }
        copy.world().boot = self.world().boot;
        copy
    }
}

impl World {
    fn used(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].now.len() as u64).sum()
    }

    /// Counts an operation that changes something.
    fn operate(&mut self) -> io::Result<Option<DiskFault>> {
        if self.crashed {
            return Err(crashed());
        }
        let fault = self.faults.remove(&self.operations);
        self.operations += 1;
        if fault == Some(DiskFault::Crash) {
            self.crashed = true;
        }
        Ok(fault)
    }

    fn check(fault: Option<DiskFault>) -> io::Result<()> {
        match fault {
            None | Some(DiskFault::Short) => Ok(()),
            Some(DiskFault::Crash) => Err(crashed()),
            Some(DiskFault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(DiskFault::Error) => Err(io::Error::other("input/output error")),
        }
    }
}

impl Content {
    /// What is found after a crash: what was synced, and of the rest a beginning, the last part
    /// of which may be cut off or read as zeros; or any of its pages.
    fn settle(&mut self, rng: &mut Rng) {
        if rng.bool() {
            return self.settle_pages(rng);
        }
        let kept = rng.usize(..=self.changes.len());
        let mut found = std::mem::take(&mut self.durable);
        for (at, change) in self.changes.drain(..).enumerate() {
            if at > kept {
                break;
            }
            match change {
                Change::Write(offset, bytes) if at == kept => {
                    let part = rng.usize(..=bytes.len());
                    write_into(&mut found, offset, &bytes[..part]);
                    if rng.bool() {
                        write_into(&mut found, offset + part as u64, &vec![0; bytes.len() - part]);
                    }
                }
                Change::Truncate(_) if at == kept => {}
                Change::Write(offset, bytes) => write_into(&mut found, offset, &bytes),
                Change::Truncate(size) => found.resize(size as usize, 0),
            }
        }
        self.now = found.clone();
        self.durable = found;
    }
}

impl Content {
    /// What a device leaves behind that writes pages in an order of its own.
    fn settle_pages(&mut self, rng: &mut Rng) {
        let mut found = std::mem::take(&mut self.durable);
        for change in self.changes.drain(..) {
            match change {
                Change::Truncate(size) => found.resize(size as usize, 0),
                Change::Write(offset, bytes) => {
                    for (page, part) in bytes.chunks(PAGE).enumerate() {
                        if rng.u8(..3) > 0 {
                            write_into(&mut found, offset + (page * PAGE) as u64, part);
                        }
                    }
                }
            }
        }
        self.now = found.clone();
        self.durable = found;
    }
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
        World::check(fault)?;
        if world.refused == name {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = world.files.len();
        world.files.push(Content::default());
        world.names.insert(name.to_owned(), file);
        world.renames.push(NameChange::Set(name.to_owned(), file));
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.before_change.call();
        let mut world = self.world();
        let fault = world.operate()?;
        World::check(fault)?;
        let file = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), file);
        world.renames.push(NameChange::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.before_change.call();
        let mut world = self.world();
        let fault = world.operate()?;
        World::check(fault)?;
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
        World::check(fault)?;
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
        let world = self.disk.world();
        let content = &world.files[self.file].now;
        let rest = content.get(at as usize..).unwrap_or(&[]);
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
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
        content.changes.push(Change::Write(at, part));
        World::check(fault)?;
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
        World::check(fault)?;
        content.durable = content.now.clone();
        content.changes.clear();
        Ok(())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.before_change.call();
        let mut world = self.disk.world();
        let fault = world.operate()?;
        World::check(fault)?;
        let content = &mut world.files[self.file];
        content.now.resize(size as usize, 0);
        content.changes.push(Change::Truncate(size));
        Ok(())
    }
}
