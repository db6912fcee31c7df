//! The engine: which event log is under the hub; and how it changes hands.
//!
//! What must hold: whatever is opened with the state of another process goes on in that one's epoch, and writes
//! nothing before it is [thawed](Engine::thaw).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_disk::{DiskLog, DiskOptions, DiskState, FreezeError, LockDescriptors, OpenError};
use fanfare_event::Position;
use fanfare_http::NodeId;
use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{EventLog, Retention, Tail};
use fanfare_memory::{MemoryLog, MemorySettings, MemoryState};
#[cfg(feature = "redis")]
use fanfare_redis::{ConnectError, RedisLog, RedisSettings, RedisState};
use fanfare_settings::{RedisUrl, Settings};

use crate::cluster::RedisCluster;

/// How long a start may take to fill the window from the log.
const WARMING: Duration = Duration::from_secs(2);
/// How long it may take while nothing is delivered.
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
    /// The process before has another engine than the settings name.
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

/// What is open.
pub(crate) struct OpenEngine {
    pub(crate) hub: Arc<Hub>,
    pub(crate) engine: Engine,
    /// The way to the others, where the engine is one that nodes share.
    pub(crate) cluster: Option<RedisCluster>,
}

impl Engine {
    /// Stops changing, and says what another process needs to go on that has what there was up to `ahead`. To be
    /// called where nobody publishes any more; may block for as long as `within`.
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

    /// Goes on: where it was frozen, as if nothing had been asked; where it has the state of another process,
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

const IN_MEMORY: &str = "in memory";
const ON_DISK: &str = "on disk";
const IN_REDIS: &str = "in redis";

/// Opens the log that the settings name, the window over it, and the hub over both; and the way to
/// the others for `node`, where the engine is one that nodes share. With the state of another process, it goes on
/// where that one has stopped.
pub(crate) async fn open(
    settings: &Settings,
    node: NodeId,
    state: Option<EngineState>,
) -> Result<OpenEngine, EngineError> {
    let ours = match (&settings.redis, &settings.data) {
        (Some(_), _) => IN_REDIS,
        (None, Some(_)) => ON_DISK,
        (None, None) => IN_MEMORY,
    };
    if let Some(theirs) = state.as_ref().map(EngineState::place).filter(|theirs| *theirs != ours) {
        return Err(EngineError::Other { theirs, ours });
    }
    let retention = Retention {
        count: settings.retain_count,
        bytes: settings.retain_bytes.get(),
        age: settings.retain_age,
    };
    let bounds =
        WindowBounds { count: settings.window_count, bytes: settings.window_bytes.in_memory() };
    let window = Arc::new(Window::new(bounds, retention));
    let tail = Arc::clone(&window) as Arc<dyn Tail>;
    let timeout = if state.is_some() { WARMING_MEANWHILE } else { WARMING };
    let mut cluster = None;
    let engine = if let Some(url) = &settings.redis {
        let (engine, others) = open_redis(settings, url, retention, tail, node, state).await?;
        cluster = Some(others);
        engine
    } else if let Some(data) = &settings.data {
        let options = DiskOptions {
            retain_topic_count: settings.retain_topic_count,
            sync: settings.sync,
            key_window: settings.idempotency_window,
            key_capacity: settings.idempotency_keys,
            ..DiskOptions::new(retention)
        };
        let log = match state {
            Some(EngineState::Disk(state, lock)) => {
                DiskLog::resume(data.path(), lock, options, tail, state)?
            }
            _ => DiskLog::open(data.path(), options, tail)?,
        };
        Engine::Disk(Arc::new(log))
    } else {
        let settings = MemorySettings {
            retention,
            key_window: settings.idempotency_window,
            key_capacity: settings.idempotency_keys,
        };
        Engine::Memory(match state {
            Some(EngineState::Memory(state)) => MemoryLog::resume(settings, tail, state),
            _ => MemoryLog::open(settings, tail),
        })
    };
    let hub = Arc::new(Hub::new(window, engine.log()));
    warm(&hub, timeout).await;
    Ok(OpenEngine { hub, engine, cluster })
}

/// Fills the window, so that those who return are served from memory. Where that fails, they are served from
/// the log.
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

/// The log in Redis, and the nodes that share it.
#[cfg(feature = "redis")]
async fn open_redis(
    settings: &Settings,
    url: &RedisUrl,
    retention: Retention,
    tail: Arc<dyn Tail>,
    node: NodeId,
    state: Option<EngineState>,
) -> Result<(Engine, RedisCluster), EngineError> {
    let settings = RedisSettings {
        retention,
        max_message: settings.max_message.in_memory(),
        idempotency_window: settings.idempotency_window,
        idempotency_keys: settings.idempotency_keys,
        wait_replicas: settings.redis_wait_replicas,
        ..RedisSettings::new(url.clone(), settings.namespace.clone())
    };
    let log = match state {
        Some(EngineState::Redis(state)) => RedisLog::resume(settings, tail, state).await?,
        _ => RedisLog::connect(settings, tail).await?,
    };
    let cluster = RedisCluster::new(node, Arc::clone(log.cluster_store()));
    Ok((Engine::Redis(log), cluster))
}

#[cfg(not(feature = "redis"))]
async fn open_redis(
    _: &Settings,
    url: &RedisUrl,
    _: Retention,
    _: Arc<dyn Tail>,
    _: NodeId,
    _: Option<EngineState>,
) -> Result<(Engine, RedisCluster), EngineError> {
    match *url {}
}
