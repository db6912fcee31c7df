//! What the log asks of a file system: the seam at which tests inject faults.
//!
//! What must hold: nothing here retries, buffers or hides a failure. Whoever writes decides what a
//! short write or a failed sync means.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, fsync, openat, renameat, unlinkat};
use rustix::io::retry_on_intr;

/// What others may do with a file of ours: nothing.
pub(crate) const FILE_MODE: u32 = 0o600;

/// What others may do with a directory of ours: nothing.
const DIRECTORY_MODE: u32 = 0o700;

/// What somebody else can do with a file or a directory.
const OTHERS: u32 = 0o077;

/// A flat directory of files.
pub trait Storage: Send + Sync + 'static {
    /// What it is called in messages: the directory's path.
    fn place(&self) -> String;

    /// The names of its entries, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens an existing file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;

    /// Creates an empty file, or empties the one of that name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;

    /// Gives a file another name; replaces the file of that name, atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. Files that are open stay readable.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: what was created, renamed and unlinked before.
    fn sync_dir(&self) -> io::Result<()>;

    /// A number that is another one after the machine has stopped and started; never 0. What was
    /// written and not synced is still there while it is the same. `None` where it cannot be told.
    fn boot(&self) -> Option<u128>;
}

/// An open file. Reading and writing name their offset: no cursor is shared.
pub trait StoredFile: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Reads at most `into.len()` bytes; 0 at the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes at most `bytes.len()` bytes and says how many.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Makes what was written durable (`fdatasync`). After a failure, what is on disk is unknown.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `size` bytes.
    fn truncate(&self, size: u64) -> io::Result<()>;
}

/// A directory of the operating system's file system.
///
/// It is the directory that was opened, also after it was renamed and another one took its path.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    own: Arc<OwnedFd>,
    writable: bool,
}

impl Directory {
    /// The directory at `path`, which must exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::at(path, true)
    }

    /// The same, of which nothing is changed: files are opened for reading only.
    pub fn read_only(path: &Path) -> io::Result<Self> {
        Self::at(path, false)
    }

    /// The directory that is open as `own`, by whatever process.
    pub(crate) fn opened(path: &Path, own: OwnedFd) -> Self {
        Self { path: path.to_owned(), own: Arc::new(own), writable: true }
    }

    /// Whether both are the same directory.
    pub(crate) fn is_the_same(&self, other: &Self) -> io::Result<bool> {
        let (one, two) = (fstat(&*self.own)?, fstat(&*other.own)?);
        Ok((one.st_dev, one.st_ino) == (two.st_dev, two.st_ino))
    }

    fn at(path: &Path, writable: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), own: Arc::new(own), writable })
    }

    /// What is open, to be locked.
    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.own
    }

    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let mode = Mode::from_raw_mode(FILE_MODE);
        let open = || openat(&*self.own, name, flags | OFlags::CLOEXEC, mode);
        Ok(retry_on_intr(open)?.into())
    }
}

impl Storage for Directory {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&*self.own)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let flags = if self.writable { OFlags::RDWR } else { OFlags::RDONLY };
        Ok(Arc::new(self.open_file(name, flags)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let file = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC)?;
        // A umask may have taken more away than is good.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&*self.own, from, &*self.own, to)?)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&*self.own, name, AtFlags::empty())?)
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| fsync(&*self.own))?)
    }

    fn boot(&self) -> Option<u128> {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
        u128::from_str_radix(&digits, 16).ok().filter(|&boot| boot != 0)
    }
}

impl StoredFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }
}

/// Creates a directory that nobody else can look into. One that is there is left as it is, and
/// warned of if others can.
pub(crate) fn create_private(directory: &Path) -> io::Result<()> {
    if !directory.exists() {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        return fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE));
    }
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & OTHERS != 0 {
        let (place, mode) = (directory.display(), format!("{:o}", mode & 0o7777));
        tracing::warn!(%place, mode, "other users can look into the directory: chmod 700 it");
    }
    Ok(())
}

/// Takes from others what they can do with these files of a directory.
pub(crate) fn make_private(directory: &Path, names: &[String]) {
    for name in names {
        let path = directory.join(name);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if !found.is_file() || found.permissions().mode() & OTHERS == 0 {
            continue;
        }
        match fs::set_permissions(&path, Permissions::from_mode(FILE_MODE)) {
            Ok(()) => tracing::warn!(file = name, "other users could read it: now they cannot"),
            Err(error) => tracing::warn!(file = name, %error, "other users can read it: chmod 600"),
        }
    }
}

/// Whether there is no room, rather than a fault.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether the medium does not give what is on it.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// How often the medium refuses to give a part of a file before that counts as damage.
pub(crate) const REFUSALS: u32 = 3;

/// Reads until `into` is full or the file ends; says how much was read.
pub(crate) fn read_full(file: &dyn StoredFile, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes`, going on after short writes.
pub(crate) fn write_all(file: &dyn StoredFile, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The whole of a small file, or of a large one what fits `limit` bytes.
pub(crate) fn read_file(storage: &dyn Storage, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = storage.open(name)?;
    let mut bytes = vec![0; file.size()?.min(limit) as usize];
    let read = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// What an unfinished [`replace`] leaves behind.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Writes a file so that, whatever happens, either its old or its new content is found. Durable
/// once the directory is synced, which is left to the caller.
pub(crate) fn replace(storage: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = format!("{name}{UNFINISHED}");
    let written = storage.create(&unfinished).and_then(|file| {
        write_all(&*file, bytes, 0)?;
        file.sync()
    });
    let placed = written.and_then(|()| storage.rename(&unfinished, name));
    if placed.is_err() {
        // It may not exist; the next start removes what is left over.
        let _ = storage.unlink(&unfinished);
    }
    placed
}
