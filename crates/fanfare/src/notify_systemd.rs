//! Notifications to systemd, for a unit of `Type=notify`: that the hub serves, that it stops, and which process it is.
//!
//! What must hold: without systemd, nothing happens.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens; see `sd_notify(3)`.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Sends this state, as `sd_notify(3)` writes it.
pub(crate) fn notify(state: &str) {
    let Some(place) = std::env::var_os(VARIABLE) else { return };
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let sent = address.and_then(|address| {
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
        Ok(())
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd was not notified: {}", state.replace('\n', ", "));
    }
}
