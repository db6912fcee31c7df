//! The engine: which event log is under the hub.

use std::sync::Arc;

use fanfare_http::NodeId;
use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{
    DiskLog, DiskOptions, EventLog, MemoryLog, MemorySettings, OpenError, Retention, Tail,
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
    /// Redis cannot be used.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] ConnectError),
}

/// What is under the hub, as far as it can be handed to another process.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    /// The log in memory.
    Memory,
    /// The log on disk.
    Disk,
    /// The log in Redis.
    Redis,
}

impl Engine {
    /// What of it is handed over, as sections.
    pub(crate) fn state(&self) -> std::io::Result<Vec<(&'static str, Vec<u8>)>> {
        Ok(Vec::new())
    }

    /// Why it cannot be handed over, if so.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::Memory => None,
            Self::Disk => Some("a hub that keeps its log on disk (--data) cannot be upgraded yet"),
            Self::Redis => Some("a node on Redis (--redis) cannot be upgraded yet"),
        }
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
        engine = Engine::Disk;
        Arc::new(DiskLog::open(
            data.path(),
            DiskOptions {
                retain_topic_count: settings.retain_topic_count,
                sync: settings.sync,
                key_window: settings.idempotency_window,
                key_capacity: settings.idempotency_keys,
                ..DiskOptions::new(retention)
            },
            tail,
        )?)
    } else {
        engine = Engine::Memory;
        MemoryLog::open(
            MemorySettings {
                retention,
                key_window: settings.idempotency_window,
                key_capacity: settings.idempotency_keys,
            },
            tail,
        )
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
