//! The library that makes a disk slow, short, failing or full and a clock wrong: built with `cc`
//! where it is first wanted, and told what to do through a file.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SOURCE: &str = include_str!("../preload/faults.c");

/// How many numbers the control file holds.
const SLOTS: usize = 32;

/// A number in the control file. `preload/faults.c` must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum ControlSlot {
    /// Microseconds that a read takes longer.
    ReadDelay = 0,
    /// Microseconds that a write takes longer.
    WriteDelay,
    /// Microseconds that a sync takes longer.
    SyncDelay,
    /// What reads fail with; 0 is none.
    ReadError,
    /// What writes fail with; 0 is none.
    WriteError,
    /// What syncs fail with; 0 is none.
    SyncError,
    /// Of so many reads one is disturbed.
    ReadOneIn,
    /// Of so many writes one is disturbed.
    WriteOneIn,
    /// Of so many syncs one is disturbed.
    SyncOneIn,
    /// 1: reads and writes transfer half of what was asked, or less.
    Shorten,
    /// Bytes that may still be written before the disk is full; -1 is any number.
    Room,
    /// Milliseconds that the wall clock is ahead.
    Clock,
    /// How many calls were slow.
    Slow = 16,
    /// How many failed.
    Failed,
    /// How many were shortened.
    Shortened,
    /// How many found no room.
    Full,
}

/// What one process is told.
#[derive(Debug)]
pub struct Control {
    file: File,
    path: PathBuf,
    directory: PathBuf,
}

impl Control {
    /// For files in `directory`; the control file is beside it, at `path`.
    pub fn new(path: &Path, directory: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let control = Self { file, path: path.to_owned(), directory: directory.to_owned() };
        control.file.set_len(SLOTS as u64 * 8)?;
        control.calm();
        Ok(control)
    }

    /// Sets a number.
    pub fn set(&self, slot: ControlSlot, value: i64) {
        self.file
            .write_all_at(&value.to_ne_bytes(), slot as u64 * 8)
            .expect("the control file is writable");
    }

    /// What a number is.
    pub fn get(&self, slot: ControlSlot) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, slot as u64 * 8).expect("the control file is readable");
        i64::from_ne_bytes(bytes)
    }

    /// Nothing is disturbed any more, but the clock stays as it is.
    pub fn calm(&self) {
        for slot in [
            ControlSlot::ReadDelay,
            ControlSlot::WriteDelay,
            ControlSlot::SyncDelay,
            ControlSlot::ReadError,
            ControlSlot::WriteError,
            ControlSlot::SyncError,
            ControlSlot::ReadOneIn,
            ControlSlot::WriteOneIn,
            ControlSlot::SyncOneIn,
            ControlSlot::Shorten,
        ] {
            self.set(slot, 0);
        }
        self.set(ControlSlot::Room, -1);
    }

    /// How many calls have been disturbed in any way.
    pub fn disturbed(&self) -> i64 {
        [ControlSlot::Slow, ControlSlot::Failed, ControlSlot::Shortened, ControlSlot::Full]
            .map(|slot| self.get(slot))
            .iter()
            .sum()
    }

    /// Makes a process that is about to start listen to it.
    pub fn preload(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("RIG_CONTROL", &self.path)
            .env("RIG_DIRECTORY", &self.directory);
    }
}

/// Where the library is; builds it first.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        build().unwrap_or_else(|error| panic!("cannot build the preload library: {error}"))
    })
}

fn build() -> io::Result<PathBuf> {
    // Named after its content: another build of the rig does not share it.
    let hash = SOURCE.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let folder = env::current_exe()?.parent().map_or_else(env::temp_dir, Path::to_owned);
    let library = folder.join(format!("rig-faults-{hash:016x}.so"));
    if library.exists() {
        return Ok(library);
    }
    let own = std::process::id();
    let source = folder.join(format!("rig-faults-{own}.c"));
    let built = folder.join(format!("rig-faults-{own}.so"));
    fs::write(&source, SOURCE)?;
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(&compiler)
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&built)
        .arg(&source)
        .arg("-ldl")
        .output()?;
    let _ = fs::remove_file(&source);
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    fs::rename(&built, &library)?;
    Ok(library)
}
