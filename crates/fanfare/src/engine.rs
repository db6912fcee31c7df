//! The engine: which event log is under the hub.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use fanfare_handover::{CargoError, Malformed};
use fanfare_http::NodeId;
use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{
    Cause, DiskLog, DiskOptions, DiskState, EventLog, LockDescriptors, MemoryLog, MemorySettings,
    MemoryState, OpenError, Retention, StateError, Tail,
};
#[cfg(feature = "redis")]
use fanfare_redis::{ConnectError, RedisLog, RedisSettings};
use fanfare_settings::{RedisUrl, Settings};

use crate::cluster::RedisCluster;
use crate::upgrade::Inheritance;

/// Why there is no log to run a hub on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory cannot be opened.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// Another log was handed over than the settings name.
    #[error("{0}: does the new process keep its log where the old one does?")]
    Inherited(#[from] CargoError),
    /// What was handed over for it is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// What was handed over for it cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Redis cannot be used.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] ConnectError),
}

/// What is under the hub, as far as it can be handed to another process.
#[derive(Clone)]
pub(crate) enum Engine {
    /// The log in memory.
    Memory(Arc<MemoryLog>),
    /// The log on disk.
    Disk(Arc<DiskLog>),
    /// The log in Redis.
    Redis,
}

/// What another process needs to go on.
#[derive(Debug, Default)]
pub(crate) struct EngineState {
    /// Of the sealed file.
    pub(crate) sections: Vec<(&'static str, Vec<u8>)>,
    /// What is to stay open, in this order.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// The sections of the logs.
const MEMORY: &str = "memory-log";
const DISK: &str = "disk-log";

impl Engine {
    /// Why it cannot be handed over, if so.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) | Self::Disk(_) => None,
            Self::Redis => Some("a node on Redis (--redis) cannot be upgraded yet"),
        }
    }

    /// Changes nothing from now on, and says what another process needs. Blocks for as long as the disk takes,
    /// within this time. What has failed changes nothing.
    pub(crate) fn freeze(&self, within: Duration) -> Result<EngineState, Cause> {
        let mut bytes = Vec::new();
        let mut descriptors = Vec::new();
        let section = match self {
            Self::Memory(log) => {
                log.state().write(&mut bytes)?;
                MEMORY
            }
            Self::Disk(log) => {
                let lock = log.lock_descriptors()?.ok_or("the directory is not locked")?;
                let state = log.freeze(within)?;
                if let Err(error) = state.write(&mut bytes) {
                    log.thaw();
                    return Err(error.into());
                }
                descriptors.extend([lock.directory, lock.file]);
                DISK
            }
            Self::Redis => return Err("a node on Redis cannot be handed over".into()),
        };
        Ok(EngineState { sections: vec![(section, bytes)], descriptors })
    }

    /// Goes on, here: as if nothing had been, or from where another process has stopped.
    pub(crate) fn thaw(&self) {
        if let Self::Disk(log) = self {
            log.thaw();
        }
    }

    /// Another process has it.
    pub(crate) fn release(&self) {
        if let Self::Disk(log) = self {
            log.release();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::Disk(_) => "Disk",
            Self::Redis => "Redis",
        })
    }
}

/// Opens the log that the settings name, the window over it, and the hub over both; and the way to
/// the others for `node`, where the engine is one that nodes share.
pub(crate) async fn open(
    settings: &Settings,
    node: NodeId,
    inheritance: Option<&mut Inheritance>,
) -> Result<(Hub, Engine, Option<RedisCluster>), EngineError> {
    let retention = Retention {
        count: settings.retain_count,
        bytes: settings.retain_bytes.get(),
        age: settings.retain_age,
    };
    let bounds =
        WindowBounds { count: settings.window_count, bytes: settings.window_bytes.in_memory() };
    let window = Arc::new(Window::new(bounds, retention));
    let tail = Arc::clone(&window) as Arc<dyn Tail>;
    let mut cluster = None;
    let engine;
    let log: Arc<dyn EventLog> = if let Some(url) = &settings.redis {
        let (log, others) = open_redis(settings, url, retention, tail, node).await?;
        cluster = Some(others);
        engine = Engine::Redis;
        log
    } else if let Some(data) = &settings.data {
        let options = DiskOptions {
            retain_topic_count: settings.retain_topic_count,
            sync: settings.sync,
            key_window: settings.idempotency_window,
            key_capacity: settings.idempotency_keys,
            ..DiskOptions::new(retention)
        };
        let log = match inheritance {
            None => DiskLog::open(data.path(), options, tail)?,
            Some(inheritance) => {
                let state = inheritance.manifest.take(DISK)?;
                let state = DiskState::read(&mut &state[..])?;
                let [directory, file] = inheritance.descriptors_of()?;
                let lock = LockDescriptors { directory, file };
                DiskLog::resume(data.path(), lock, options, tail, state)?
            }
        };
        let log = Arc::new(log);
        engine = Engine::Disk(Arc::clone(&log));
        log
    } else {
        let memory = MemorySettings {
            retention,
            key_window: settings.idempotency_window,
            key_capacity: settings.idempotency_keys,
        };
        let log = match inheritance {
            None => MemoryLog::open(memory, tail),
            Some(inheritance) => {
                let state = inheritance.manifest.take(MEMORY)?;
                MemoryLog::resume(memory, tail, MemoryState::read(&mut &state[..])?)
            }
        };
        engine = Engine::Memory(Arc::clone(&log));
        log
    };
    Ok((Hub::new(window, log), engine, cluster))
}

/// The log in Redis, and the nodes that share it.
#[cfg(feature = "redis")]
async fn open_redis(
    settings: &Settings,
    url: &RedisUrl,
    retention: Retention,
    tail: Arc<dyn Tail>,
    node: NodeId,
) -> Result<(Arc<dyn EventLog>, RedisCluster), EngineError> {
    let settings = RedisSettings {
        retention,
        idempotency_window: settings.idempotency_window,
        idempotency_keys: settings.idempotency_keys,
        wait_replicas: settings.redis_wait_replicas,
        ..RedisSettings::new(url.clone(), settings.namespace.clone())
    };
    let log = RedisLog::connect(settings, tail).await?;
    let cluster = RedisCluster::new(node, Arc::clone(log.cluster_store()));
    Ok((log, cluster))
}

#[cfg(not(feature = "redis"))]
async fn open_redis(
    _: &Settings,
    url: &RedisUrl,
    _: Retention,
    _: Arc<dyn Tail>,
    _: NodeId,
) -> Result<(Arc<dyn EventLog>, RedisCluster), EngineError> {
    match *url {}
}
