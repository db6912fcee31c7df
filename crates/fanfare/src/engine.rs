//! The engine: which event log is under the hub; and how it changes hands.
//!
//! What must hold: an engine that is opened with the state of another process goes on in that one's epoch, and writes
//! nothing before it is [thawed](Engine::thaw).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_disk::{DiskLog, DiskOptions, DiskState, FreezeError, LockDescriptors, OpenError};
use fanfare_event::Position;
use fanfare_hub::{Hub, Window};
use fanfare_log::{EventLog, Tail};
use fanfare_memory::{MemoryLog, MemorySettings, MemoryState};
#[cfg(feature = "redis")]
use fanfare_redis::{ConnectError, RedisLog, RedisSettings, RedisState};

// Where an event log is, as an operator would say it.

const IN_MEMORY: &str = "in memory";
const ON_DISK: &str = "on disk";
#[cfg(feature = "redis")]
const IN_REDIS: &str = "in redis";

/// How long a start may take to fill the window from the log.
const WARMING: Duration = Duration::from_secs(2);
/// How long that may take while another process has stopped delivering.
const WARMING_MEANWHILE: Duration = Duration::from_millis(50);

/// Why there is no log to run a hub on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory cannot be opened.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// Redis cannot be used.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] ConnectError),
    /// The process that is to be replaced has another engine than the settings name.
    #[error(
        "the hub that is to be replaced has its event log {theirs}, and the settings say {ours}"
    )]
    Other {
        /// Where it is there.
        theirs: &'static str,
        /// Where it would be here.
        ours: &'static str,
    },
}

/// Which event log there is to be.
#[derive(Debug, Clone)]
pub(crate) enum EngineConfig {
    Memory(MemorySettings),
    Disk {
        directory: PathBuf,
        options: DiskOptions,
    },
    #[cfg(feature = "redis")]
    Redis(Box<RedisSettings>),
}

/// The event log, as what it is.
#[derive(Clone)]
pub(crate) enum Engine {
    Memory(Arc<MemoryLog>),
    Disk(Arc<DiskLog>),
    #[cfg(feature = "redis")]
    Redis(Arc<RedisLog>),
}

/// What an engine hands to the process that goes on with it.
#[derive(Debug)]
pub(crate) enum EngineState {
    Memory(MemoryState),
    /// What of it was not written ahead.
    RestOfMemory(MemoryState),
    Disk(DiskState, LockDescriptors),
    #[cfg(feature = "redis")]
    Redis(RedisState),
}

/// Why an engine cannot be handed over. It goes on as before.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandOverError {
    #[error(transparent)]
    Disk(#[from] FreezeError),
    #[error("the log's lock cannot be handed over: {0}")]
    Lock(#[from] io::Error),
    #[error("the log's directory is not locked, so that it cannot be handed over")]
    NoLock,
    #[cfg(feature = "redis")]
    #[error("redis cannot be handed over: {0}")]
    Redis(#[from] fanfare_redis::Unsettled),
}

/// An open event log, and the hub over it.
pub(crate) struct OpenEngine {
    pub(crate) hub: Arc<Hub>,
    pub(crate) engine: Engine,
}

impl Engine {
    /// Stops changing, and returns what another process needs to go on that has what there was up to `ahead`. To be
    /// called when nothing is published any more. Blocks, for at most `within`.
    pub(crate) fn freeze(
        &self,
        ahead: Option<Position>,
        within: Duration,
    ) -> Result<EngineState, HandOverError> {
        match self {
            Self::Memory(log) => Ok(match ahead {
                Some(ahead) => EngineState::RestOfMemory(log.state_after(ahead)),
                None => EngineState::Memory(log.state()),
            }),
            Self::Disk(log) => {
                let lock = log.lock_descriptors()?.ok_or(HandOverError::NoLock)?;
                Ok(EngineState::Disk(log.freeze(within)?, lock))
            }
            #[cfg(feature = "redis")]
            Self::Redis(log) => Ok(EngineState::Redis(log.settle(within)?)),
        }
    }

    /// Goes on: if it was frozen, as if nothing had been asked; if it was opened with the state of another process,
    /// from there.
    pub(crate) fn thaw(&self) {
        if let Self::Disk(log) = self {
            log.thaw();
        }
    }

    /// Ends without touching anything: another process goes on.
    pub(crate) fn release(&self) {
        if let Self::Disk(log) = self {
            log.release();
        }
    }

    fn log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Memory(log) => Arc::clone(log) as _,
            Self::Disk(log) => Arc::clone(log) as _,
            #[cfg(feature = "redis")]
            Self::Redis(log) => Arc::clone(log) as _,
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Self::Memory(_) => IN_MEMORY,
            Self::Disk(_) => ON_DISK,
            #[cfg(feature = "redis")]
            Self::Redis(_) => IN_REDIS,
        };
        f.debug_tuple("Engine").field(&place).finish()
    }
}

impl EngineConfig {
    /// Where the log is to be.
    fn place(&self) -> &'static str {
        match self {
            Self::Memory(_) => IN_MEMORY,
            Self::Disk { .. } => ON_DISK,
            #[cfg(feature = "redis")]
            Self::Redis(_) => IN_REDIS,
        }
    }
}

impl EngineState {
    /// Where the log is.
    fn place(&self) -> &'static str {
        match self {
            Self::Memory(_) | Self::RestOfMemory(_) => IN_MEMORY,
            Self::Disk(..) => ON_DISK,
            #[cfg(feature = "redis")]
            Self::Redis(_) => IN_REDIS,
        }
    }
}

/// Opens the log, fills `window` from it, and makes a hub of both. With the state of another process, it goes on where
/// that one has stopped.
pub(crate) async fn open(
    config: EngineConfig,
    window: Window,
    state: Option<EngineState>,
) -> Result<OpenEngine, EngineError> {
    let ours = config.place();
    if let Some(theirs) = state.as_ref().map(EngineState::place).filter(|theirs| *theirs != ours) {
        return Err(EngineError::Other { theirs, ours });
    }
    let window = Arc::new(window);
    let tail = Arc::clone(&window) as Arc<dyn Tail>;
    let timeout = if state.is_some() { WARMING_MEANWHILE } else { WARMING };
    let engine = match config {
        EngineConfig::Memory(settings) => Engine::Memory(match state {
            Some(EngineState::Memory(state)) => MemoryLog::resume(settings, tail, state),
            _ => MemoryLog::open(settings, tail),
        }),
        EngineConfig::Disk { directory, options } => Engine::Disk(Arc::new(match state {
            Some(EngineState::Disk(state, lock)) => {
                DiskLog::resume(&directory, lock, options, tail, state)?
            }
            _ => DiskLog::open(&directory, options, tail)?,
        })),
        #[cfg(feature = "redis")]
        EngineConfig::Redis(settings) => Engine::Redis(match state {
            Some(EngineState::Redis(state)) => RedisLog::resume(*settings, tail, state).await?,
            _ => RedisLog::connect(*settings, tail).await?,
        }),
    };
    let hub = Arc::new(Hub::new(window, engine.log()));
    warm(&hub, timeout).await;
    Ok(OpenEngine { hub, engine })
}

/// Fills the window, so that clients that come back are served from memory. If that fails, they are served from the
/// log.
async fn warm(hub: &Arc<Hub>, within: Duration) {
    let (hub, began) = (Arc::clone(hub), Instant::now());
    let warmed = tokio::task::spawn_blocking(move || hub.warm(|| began.elapsed() < within)).await;
    match warmed {
        Ok(Ok(events)) => {
            let took = began.elapsed();
            tracing::info!(events, ?took, "the window is filled from the log");
        }
        Ok(Err(error)) => tracing::warn!(%error, "the window could not be filled from the log"),
        Err(_) => tracing::error!("the window could not be filled from the log: it panicked"),
    }
}
