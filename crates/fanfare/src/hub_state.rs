//! The state of a hub: all that it has beside its streams and connections, as sections for the process that goes on
//! with it.
//!
//! | section | what |
//! |---|---|
//! | `node` | its id and when it was started, so that no other node sees it leave |
//! | `log-memory`, `log-memory-rest`, `log-disk`, `log-redis` | the log: one of them |
//! | `console` | the log of statistics |
//! | `tickets` | tickets that were drawn, and by whom |
//! | `allowances` | what everyone has used of the rates |
//! | `counters` | what the metrics count from |
//!
//! The events of a log in memory are many. They are written ahead, into a file of their own with the section
//! `log-memory`, while everyone is served; `log-memory-rest` is what has changed since.
//!
//! What must hold: to write it down changes nothing; to read it writes nothing. A section that is missing,
//! damaged or unknown is an error, before anything is committed.

use std::io::{self, BufReader};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fanfare_disk::{DiskState, LockDescriptors};
use fanfare_event::Position;
use fanfare_handover::{Malformed, Manifest, Reader, StateFile, StateFileError, Writer};
use fanfare_http::{AppState, NodeIdentity};
use fanfare_log::StateError;
use fanfare_memory::MemoryState;
#[cfg(feature = "redis")]
use fanfare_redis::{RedisState, UnreadableState};

use crate::engine::{Engine, EngineState, HandOverError};
use crate::logs::Logs;

const NODE: &str = "node";
const LOG_MEMORY: &str = "log-memory";
const LOG_MEMORY_REST: &str = "log-memory-rest";
const LOG_DISK: &str = "log-disk";
#[cfg(feature = "redis")]
const LOG_REDIS: &str = "log-redis";
const CONSOLE: &str = "console";
const TICKETS: &str = "tickets";
const ALLOWANCES: &str = "allowances";
const COUNTERS: &str = "counters";

/// A section: its name, and what is in it.
pub(crate) type StateSection = (&'static str, Vec<u8>);

/// What another process has handed over.
#[derive(Debug)]
pub(crate) struct HubState {
    pub(crate) node: NodeIdentity,
    pub(crate) engine: EngineState,
    pub(crate) console: MemoryState,
    pub(crate) rest: DeferredState,
}

/// What is taken in once the hub is built.
#[derive(Debug)]
pub(crate) struct DeferredState {
    tickets: Vec<u8>,
    allowances: Vec<u8>,
    counters: Vec<u8>,
}

/// Why a hub cannot go on with what another process has handed over.
#[derive(Debug, thiserror::Error)]
pub enum HubStateError {
    /// The file of sections is not what it should be.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// A section is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The state of a log is not what it should be.
    #[error(transparent)]
    Log(#[from] StateError),
    /// The state of the log in Redis is not what it should be.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] UnreadableState),
    /// The log is on disk, and its lock is missing.
    #[error("the lock of the log's directory was not handed over")]
    NoLock,
}

/// What can be written down before anything stands still, and up to where that is.
pub(crate) fn write_ahead(engine: &Engine) -> io::Result<(StateFile, Option<Position>)> {
    let Engine::Memory(log) = engine else { return Ok((StateFile::seal(&[])?, None)) };
    let state = log.state();
    let until = state.last();
    let (name, bytes) = EngineState::Memory(state).section()?;
    Ok((StateFile::seal(&[(name, &bytes[..])])?, Some(until)))
}

/// What was written ahead, if anything was.
pub(crate) fn read_ahead(state_file: StateFile) -> Result<Option<MemoryState>, HubStateError> {
    let mut manifest = state_file.open()?;
    let section = manifest.section(LOG_MEMORY).map(BufReader::new);
    let state = section.map(|mut section| MemoryState::read(&mut section)).transpose()?;
    manifest.end()?;
    Ok(state)
}

/// A hub that does not change any more. When this is dropped, it goes on as if nothing had been asked.
#[derive(Debug)]
pub(crate) struct Frozen {
    app: Arc<AppState>,
    engine: Engine,
    state: EngineState,
    console: MemoryState,
    released: bool,
}

impl Frozen {
    /// Stops everything that changes by itself. To be called when no request is answered any more. Blocks, for at most
    /// `within`. What there was up to `ahead` was written down before.
    pub(crate) fn new(
        app: &Arc<AppState>,
        logs: &Logs,
        ahead: Option<Position>,
        within: Duration,
    ) -> Result<Self, HandOverError> {
        let state = logs.engine.freeze(ahead, within)?;
        app.console.freeze();
        let console = logs.console.state();
        let (app, engine) = (Arc::clone(app), logs.engine.clone());
        Ok(Self { app, engine, state, console, released: false })
    }

    /// All of it, written down.
    pub(crate) fn sections(&self) -> io::Result<Vec<StateSection>> {
        let mut sections = export(&self.app)?;
        let mut console = Vec::new();
        self.console.write(&mut console)?;
        sections.extend([(CONSOLE, console), self.state.section()?]);
        Ok(sections)
    }

    /// What goes along as descriptors: the first that the other process receives.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.state.descriptors()
    }

    /// Another process is the hub.
    pub(crate) fn release(mut self) {
        self.engine.release();
        self.released = true;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !self.released {
            self.engine.thaw();
            self.app.console.thaw();
        }
    }
}

/// Writes down what a hub has beside its logs.
fn export(app: &AppState) -> io::Result<Vec<StateSection>> {
    let section = |write: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        write(&mut writer);
        writer.finish()
    };
    Ok(vec![
        (NODE, section(&|writer| app.node.identity().write(writer))),
        (TICKETS, section(&|writer| app.access.write_tickets(writer))),
        (ALLOWANCES, section(&|writer| app.write_allowances(writer))),
        (COUNTERS, section(&|writer| app.metrics.write_counters(writer))),
    ])
}

impl EngineState {
    /// Writes it down.
    pub(crate) fn section(&self) -> io::Result<StateSection> {
        let mut bytes = Vec::new();
        Ok(match self {
            Self::Memory(state) | Self::RestOfMemory(state) => {
                bytes.reserve_exact(state.length());
                state.write(&mut bytes)?;
                let all = matches!(self, Self::Memory(_));
                (if all { LOG_MEMORY } else { LOG_MEMORY_REST }, bytes)
            }
            Self::Disk(state, _) => {
                state.write(&mut bytes)?;
                (LOG_DISK, bytes)
            }
            #[cfg(feature = "redis")]
            Self::Redis(state) => {
                let mut writer = Writer::new();
                state.write(&mut writer);
                (LOG_REDIS, writer.finish())
            }
        })
    }

    /// What goes along beside the section, as descriptors, in the order in which they are to be read.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Disk(_, lock) => vec![lock.directory.as_fd(), lock.file.as_fd()],
            Self::Memory(_) | Self::RestOfMemory(_) => Vec::new(),
            #[cfg(feature = "redis")]
            Self::Redis(_) => Vec::new(),
        }
    }

    fn read(
        ahead: Option<MemoryState>,
        manifest: &mut Manifest,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Self, HubStateError> {
        if let Some(section) = manifest.section(LOG_DISK) {
            let state = DiskState::read(&mut BufReader::new(section))?;
            if descriptors.len() < 2 {
                return Err(HubStateError::NoLock);
            }
            let mut lock = descriptors.drain(..2);
            let mut next = || lock.next().ok_or(HubStateError::NoLock);
            let lock = LockDescriptors { directory: next()?, file: next()? };
            return Ok(Self::Disk(state, lock));
        }
        #[cfg(feature = "redis")]
        if manifest.has(LOG_REDIS) {
            let bytes = manifest.take(LOG_REDIS)?;
            let mut reader = Reader::new(&bytes);
            let state = RedisState::read(&mut reader)?;
            reader.end()?;
            return Ok(Self::Redis(state));
        }
        if let (Some(ahead), Some(rest)) = (ahead, manifest.section(LOG_MEMORY_REST)) {
            let rest = MemoryState::read(&mut BufReader::new(rest))?;
            return Ok(Self::Memory(ahead.followed_by(rest)?));
        }
        let section = manifest.section(LOG_MEMORY).ok_or(StateFileError::Missing(LOG_MEMORY))?;
        Ok(Self::Memory(MemoryState::read(&mut BufReader::new(section))?))
    }
}

impl HubState {
    /// Reads what another process has written, some of it `ahead`. Takes as many descriptors as it had, from the front.
    pub(crate) fn import(
        ahead: Option<MemoryState>,
        manifest: &mut Manifest,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Self, HubStateError> {
        let engine = EngineState::read(ahead, manifest, descriptors)?;
        let bytes = manifest.take(NODE)?;
        let mut reader = Reader::new(&bytes);
        let node = NodeIdentity::read(&mut reader)?;
        reader.end()?;
        let console = MemoryState::read(&mut &manifest.take(CONSOLE)?[..])?;
        let rest = DeferredState {
            tickets: manifest.take(TICKETS)?,
            allowances: manifest.take(ALLOWANCES)?,
            counters: manifest.take(COUNTERS)?,
        };
        Ok(Self { node, engine, console, rest })
    }
}

impl DeferredState {
    /// Takes in what is left, before anyone is let in.
    pub(crate) fn restore(&self, app: &AppState) -> Result<(), HubStateError> {
        let Self { tickets, allowances, counters } = self;
        let mut reader = Reader::new(tickets);
        app.access.read_tickets(&mut reader)?;
        reader.end()?;
        let mut reader = Reader::new(allowances);
        app.read_allowances(&mut reader)?;
        reader.end()?;
        let mut reader = Reader::new(counters);
        app.metrics.read_counters(&mut reader)?;
        Ok(reader.end()?)
    }
}
