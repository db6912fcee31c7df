//! A disk in memory that fails as told, and forgets at a crash what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use fastrand::Rng;

mod content;
mod storage;

use content::FileContent;

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

/// The disk. Cloning shares it.
#[derive(Clone)]
pub struct SimulatedDisk {
    world: Arc<Mutex<DiskContents>>,
    reading: ReadHook,
    before_change: Hook,
}

/// What happens whenever something is read, and how many bytes were.
#[derive(Clone, Default)]
struct ReadHook {
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

struct DiskContents {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// What happened to names since the directory was synced.
    renames: Vec<NameChange>,
    files: Vec<FileContent>,
    operations: u64,
    faults: BTreeMap<u64, DiskFault>,
    crashed: bool,
    boot: u128,
    refused: String,
    held: String,
    unreadable: Vec<UnreadablePart>,
    /// How many bytes all files together may have.
    room: u64,
    rng: Rng,
}

/// Part of a file that the medium does not give.
struct UnreadablePart {
    file: usize,
    bytes: Range<u64>,
    /// For how many more tries.
    left: u64,
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Move(String, String),
    Remove(String),
}

const EIO: i32 = 5;

fn crashed() -> io::Error {
    io::Error::other("the machine has crashed")
}

impl SimulatedDisk {
    /// An empty disk; the seed decides what a crash leaves.
    pub fn new(seed: u64) -> Self {
        let world = DiskContents {
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
            unreadable: Vec::new(),
            room: u64::MAX,
            rng: Rng::with_seed(seed),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            reading: ReadHook::default(),
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

    fn world(&self) -> MutexGuard<'_, DiskContents> {
        self.world.lock().unwrap()
    }

    /// The operation that changes something, `ahead` from now, goes wrong.
    pub fn fail(&self, ahead: u64, fault: DiskFault) {
        let mut world = self.world();
        let at = world.operations + ahead;
        world.faults.insert(at, fault);
    }

    /// What was to go wrong does not.
    pub fn clear_faults(&self) {
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

    /// Lets the medium refuse to give these bytes of a file, so many times.
    pub fn refuse_to_read(&self, name: &str, bytes: Range<u64>, times: u64) {
        let mut world = self.world();
        let file = world.names[name];
        world.unreadable.push(UnreadablePart { file, bytes, left: times });
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

    /// The files of which a crash would lose something.
    pub fn unsynced(&self) -> Vec<String> {
        let world = self.world();
        let is_synced = |name: &String, file: usize| {
            world.durable_names.get(name) == Some(&file) && world.files[file].changes.is_empty()
        };
        let unsynced = world.names.iter().filter(|(name, file)| !is_synced(name, **file));
        unsynced.map(|(name, _)| name.clone()).collect()
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
        world.files.push(FileContent { now: bytes.clone(), durable: bytes, changes: Vec::new() });
        world.names.insert(name.to_owned(), file);
        world.durable_names.insert(name.to_owned(), file);
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }

    /// Another disk with what this one holds at one moment.
    pub fn copy(&self) -> Self {
        let copy = Self::new(0);
        let world = self.world();
        for (name, &file) in &world.names {
            copy.put(name, world.files[file].now.clone());
        }
        copy.world().boot = world.boot;
        drop(world);
        copy
    }
}

impl DiskContents {
    fn used(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].now.len() as u64).sum()
    }

    /// How many of these bytes of a file the medium gives, as a kernel does: those before what it refuses, if there
    /// are any.
    fn give(&mut self, file: usize, bytes: Range<u64>) -> io::Result<usize> {
        let mut end = bytes.end;
        for part in self.unreadable.iter_mut().filter(|part| part.file == file && part.left > 0) {
            if part.bytes.start > bytes.start {
                end = end.min(part.bytes.start);
            } else if part.bytes.end > bytes.start && !bytes.is_empty() {
                part.left -= 1;
                return Err(io::Error::from_raw_os_error(EIO));
            }
        }
        Ok((end - bytes.start) as usize)
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
