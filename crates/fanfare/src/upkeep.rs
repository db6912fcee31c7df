//! Upkeep: what is done at intervals for as long as a hub runs.

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::Timestamp;
use fanfare_http::AppState;
use fanfare_hub::Hub;
use tokio::time::interval;

/// How often the log is asked to let go of what is too old.
const EXPIRY: Duration = Duration::from_secs(1);
/// How often the key set for tokens is asked for.
const KEY_SET: Duration = Duration::from_secs(300);

/// Has the log let go of what is too old, for ever.
pub(crate) async fn expire(hub: Arc<Hub>) {
    let mut ticks = interval(EXPIRY);
    loop {
        ticks.tick().await;
        hub.expire(Timestamp::now());
    }
}

/// Keeps the key set for tokens fresh, for ever.
pub(crate) async fn refresh_key_set(app: Arc<AppState>) {
    let mut ticks = interval(KEY_SET);
    loop {
        ticks.tick().await;
        app.access.refresh_key_set().await;
    }
}
