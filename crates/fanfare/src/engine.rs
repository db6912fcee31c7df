//! The engine: which event log is under the hub.

use std::sync::Arc;

use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{
    DiskLog, DiskOptions, EventLog, MemoryLog, MemorySettings, OpenError, Retention, Tail,
};
use fanfare_redis::{ConnectError, RedisLog, RedisSettings};

use crate::cluster::RedisCluster;
use crate::http::NodeId;
use crate::settings::Settings;

/// Why there is no log to run a hub on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory cannot be opened.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] ConnectError),
}

/// Opens the log that the settings name, the window over it, and the hub over both; and the way to
/// the others for `node`, where the engine is one that nodes share.
pub(crate) async fn open(
    settings: &Settings,
    node: NodeId,
) -> Result<(Hub, Option<RedisCluster>), EngineError> {
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
    let log: Arc<dyn EventLog> = if let Some(url) = &settings.redis {
        let namespace = settings.namespace.clone();
        let log = RedisLog::connect(
            RedisSettings {
                retention,
                idempotency_window: settings.idempotency_window,
                idempotency_keys: settings.idempotency_keys,
                wait_replicas: settings.redis_wait_replicas,
                ..RedisSettings::new(url.clone(), namespace)
            },
            tail,
        )
        .await?;
        cluster = Some(RedisCluster::new(node, Arc::clone(log.commons())));
        log
    } else if let Some(data) = &settings.data {
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
        MemoryLog::open(
            MemorySettings {
                retention,
                key_window: settings.idempotency_window,
                key_capacity: settings.idempotency_keys,
            },
            tail,
        )
    };
    Ok((Hub::new(window, log), cluster))
}
