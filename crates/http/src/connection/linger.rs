//! Lingering: a connection that closes still reads for a moment, so that its peer sees the answer.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connections::Connections;
use super::lifecycle::Lifecycle;

/// How long, and for how many bytes, a connection that is closing still reads: a peer that is
/// sending would not see the answer if its bytes met a closed socket (RFC 9112, 9.6).
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1024 * 1024);

/// Closes a connection so that the peer can read what it was sent last.
pub(super) async fn linger<I: AsyncRead + AsyncWrite + Unpin>(
    mut stream: I,
    connections: &Connections,
) {
    if connections.has_reached(Lifecycle::Stopping) {
        let _ = stream.shutdown().await;
        return;
    }
    let close = async {
        stream.shutdown().await?;
        let (mut scratch, mut read) = (vec![0; 4096], 0);
        while read < LINGER.1 {
            match stream.read(&mut scratch).await? {
                0 => break,
                bytes => read += bytes,
            }
        }
        io::Result::Ok(())
    };
    // However it ends, the connection is over.
    let _ = timeout(LINGER.0, close).await;
}
