//! The listening socket, and what every accepted connection inherits from it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 65_535;
/// When a silent peer is first asked whether it is still there, and how often then. The hub's own
/// heartbeats find a dead subscriber sooner; this is for everyone else.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);
/// How much that has not been sent the system may hold for one connection, in bytes. Without it,
/// each subscriber that does not read can take megabytes of the system's memory.
const UNSENT: u32 = 256 * 1024;

/// Binds `address`. Connections inherit: no delay (a frame goes out when it is written), keepalive,
/// and `TCP_USER_TIMEOUT`, by which the system drops a peer that takes nothing for twice the
/// `write_timeout`. The hub's own deadline for subscribers comes first, and says why.
pub(crate) fn bind(
    address: SocketAddr,
    write_timeout: Duration,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(write_timeout * 2))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
