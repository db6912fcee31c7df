//! What systemd is told of a unit of `Type=notify`: that the hub serves, that it stops, and which process it is.
//!
//! What must hold: where nobody listens, nothing happens.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens; see `sd_notify(3)`.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// Says this, in the words of `sd_notify(3)`.
pub(crate) fn notify(words: &str) {
    let Some(place) = std::env::var_os(VARIABLE) else { return };
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let said = address.and_then(|address| {
        UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address)?;
        Ok(())
    });
    if let Err(error) = said {
        tracing::warn!(%error, "systemd could not be told: {}", words.replace('\n', ", "));
    }
}
