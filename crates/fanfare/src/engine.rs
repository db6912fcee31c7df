//! The engine: which event log is under the hub.

use std::sync::Arc;

use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{
    DiskLog, DiskOptions, EventLog, MemoryLog, MemorySettings, OpenError, Retention, Tail,
};

use crate::settings::Settings;

/// Opens the log that the settings name, the window over it, and the hub over both.
pub(crate) fn open(settings: &Settings) -> Result<Hub, OpenError> {
    let retention = Retention {
        count: settings.retain_count,
        bytes: settings.retain_bytes.get(),
        age: settings.retain_age,
    };
    let bounds =
        WindowBounds { count: settings.window_count, bytes: settings.window_bytes.in_memory() };
    let window = Arc::new(Window::new(bounds, retention));
    let tail = Arc::clone(&window) as Arc<dyn Tail>;
    let log: Arc<dyn EventLog> = match &settings.data {
        None => MemoryLog::open(
            MemorySettings {
                retention,
                key_window: settings.idempotency_window,
                key_capacity: settings.idempotency_keys,
            },
            tail,
        ),
        Some(data) => Arc::new(DiskLog::open(
            data.path(),
            DiskOptions {
                retain_topic_count: settings.retain_topic_count,
                sync: settings.sync,
                key_window: settings.idempotency_window,
                key_capacity: settings.idempotency_keys,
                ..DiskOptions::new(retention)
            },
            tail,
        )?),
    };
    Ok(Hub::new(window, log))
}
