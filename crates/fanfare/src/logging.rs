//! Logging: structured lines on standard error, and the audit trail, there or in a file of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fanfare_settings::{LogFormat, Settings};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

/// What the lines of the audit trail are marked with.
const AUDIT: &str = "audit";

/// Sets up logging for the process. A second call changes nothing.
pub(crate) fn start(settings: &Settings) -> io::Result<()> {
    let trail = settings.audit_log.as_ref().map(|path| AuditLog::open(path.path())).transpose()?;
    let mut filter: Targets = settings.log_level.as_str().parse().map_err(io::Error::other)?;
    if trail.is_some() {
        filter = filter.with_target(AUDIT, LevelFilter::OFF);
    }
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let lines = lines.with_filter(filter);
    let trail = trail.map(|file| {
        let json = fmt::layer::<Registry>().with_writer(file).with_ansi(false);
        let audit = Targets::new().with_target(AUDIT, Level::INFO);
        json.json().flatten_event(true).with_filter(audit)
    });
    let started = tracing_subscriber::registry().with(trail).with(lines).try_init();
    drop(started);
    Ok(())
}

/// The file of the audit trail, for its owner's eyes only. Opened anew where it has been moved away.
#[derive(Clone)]
struct AuditLog(Arc<Mutex<AuditFile>>);

struct AuditFile {
    path: PathBuf,
    file: File,
    /// Whether the last line could not be written, which is said once.
    failed: bool,
}

/// The file of the audit trail cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("--audit-log: {}: {source}", path.display())]
struct NoAuditLog {
    path: PathBuf,
    source: io::Error,
}

impl AuditLog {
    fn open(path: &Path) -> io::Result<Self> {
        let file = open(path).map_err(|source| {
            io::Error::new(source.kind(), NoAuditLog { path: path.to_owned(), source })
        })?;
        let opened = AuditFile { path: path.to_owned(), file, failed: false };
        Ok(Self(Arc::new(Mutex::new(opened))))
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl AuditFile {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let place = std::fs::metadata(&self.path).ok();
        let here = self.file.metadata()?;
        if place.is_none_or(|place| (place.dev(), place.ino()) != (here.dev(), here.ino())) {
            self.file = open(&self.path)?;
        }
        self.file.write_all(line)
    }
}

impl Write for AuditLog {
    /// A line comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = opened.write_line(line);
        if let Err(error) = &written
            && !opened.failed
        {
            // Not by the log, in the middle of which this is.
            let path = opened.path.display();
            let _ = writeln!(io::stderr(), "error: --audit-log: {path} cannot be written: {error}");
        }
        opened.failed = written.is_err();
        written.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for AuditLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
