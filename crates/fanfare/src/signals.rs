//! The signals that end the hub.
//!
//! What must hold: the first ends it in order, and a second at once; one that reaches a process twice in an upgrade, by
//! systemd and by the old process, is one.

use std::io;
use std::process;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// For how long after the first signal another counts as the same, in a process to which the old one may pass it on:
/// systemd signals both.
const TOGETHER: Duration = Duration::from_secs(1);

/// Whether the hub was told to stop.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Listens from now on. A second signal ends the process at once; `took_over` says whether it may come twice.
    pub(crate) fn new(took_over: bool) -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (told, stop) = watch::channel(false);
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            }
        };
        drop(tokio::spawn(async move {
            next().await;
            told.send_replace(true);
            let told_at = Instant::now();
            loop {
                let code = next().await;
                if !took_over || told_at.elapsed() >= TOGETHER {
                    process::exit(code);
                }
            }
        }));
        Ok(Self(stop))
    }

    /// Resolves once it was, and as often as it is asked.
    pub(crate) async fn given(&self) {
        // The sender waits for the second.
        let _ = self.0.clone().wait_for(|told| *told).await;
    }
}
