//! Reload: what the hub reads again at a hangup (SIGHUP).
//!
//! What must hold: a hangup never ends the hub and never touches a stream, whatever the hub serves.
//! Each part that can be read again while the hub runs has a notification of its own; if there is
//! none, the log says so.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::Notify;

/// What is read again at a hangup.
#[derive(Debug, Default)]
pub(crate) struct Reload {
    parts: Vec<(&'static str, Arc<Notify>)>,
}

impl Reload {
    /// Adds a part of this name. Its reader waits for the notification that is returned.
    pub(crate) fn part(&mut self, name: &'static str) -> Arc<Notify> {
        let asked = Arc::<Notify>::default();
        self.parts.push((name, Arc::clone(&asked)));
        asked
    }

    /// Notifies all parts at each hangup, for as long as the hub runs.
    pub(crate) async fn notify_on_hangup(self, mut hangup: Signal) {
        let names: Vec<_> = self.parts.iter().map(|(name, _)| *name).collect();
        while hangup.recv().await.is_some() {
            if names.is_empty() {
                tracing::info!(
                    "SIGHUP is ignored: there is nothing that is read while the hub runs"
                );
                continue;
            }
            tracing::info!(parts = names.join(", "), "SIGHUP: reading again");
            self.parts.iter().for_each(|(_, asked)| asked.notify_one());
        }
    }
}
