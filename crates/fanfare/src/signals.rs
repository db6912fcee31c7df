//! The signals that end the hub.

use std::future::Future;
use std::io;
use std::process;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first signal to stop; a second one ends the process at once.
pub(crate) fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => 143,
            _ = interrupt.recv() => 130,
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move { process::exit(next().await) });
    })
}
