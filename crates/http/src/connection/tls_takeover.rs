//! The takeover of a connection over TLS 1.3: what is left of its handshake for whoever seals its
//! records from now on. Why that is safe, `delivery::tls` says.
//!
//! rustls gives out keys and the numbers of the next records, but not the secrets that later keys come
//! from. Those it tells whoever logs keys, during the handshake; the log of a connection is this
//! connection's alone, in memory, and forgotten with it. That both belong together is checked.
//!
//! What must hold: nothing is on the way in rustls when a connection changes hands. What it still has to
//! send goes out first; what it has read is whole records (`record_boundary`), all of them opened.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_delivery::{CipherSuite, Direction, TlsState, TrafficSecret};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::cipher::{AeadKey, Iv};
use tokio_rustls::rustls::{
    self, ConnectionTrafficSecrets, ExtractedSecrets, KeyLog, ServerConfig, ServerConnection,
    SupportedCipherSuite,
};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use super::record_boundary::FollowedSocket;

/// The names under which the secrets of a connection's content are logged.
const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";
/// How often either side may have changed its key before the takeover.
const UPDATES: usize = 16;

/// The secrets of one connection, once its handshake has come so far.
#[derive(Default)]
pub(super) struct HandshakeSecrets(Mutex<LoggedSecrets>);

#[derive(Default)]
struct LoggedSecrets {
    client: Option<Zeroizing<Vec<u8>>>,
    server: Option<Zeroizing<Vec<u8>>>,
}

/// Why a connection could not change hands.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsTakeoverError {
    /// What had to go out first did not.
    #[error("what was to be sent before the stream could not be sent")]
    Unsent(#[source] io::Error),
    /// rustls does not give out its secrets.
    #[error("the secrets of the connection cannot be obtained")]
    Secrets(#[from] rustls::Error),
    /// They are of a kind that is not known here.
    #[error("the connection's cipher suite is not known")]
    Suite,
    /// The secrets that were logged do not give the keys that are in use.
    #[error("the secrets of the handshake do not lead to the keys in use")]
    Mismatch,
}

impl HandshakeSecrets {
    /// A configuration that logs one connection's secrets here, and is like `config` otherwise.
    pub(super) fn logged_by(config: &ServerConfig) -> (Arc<ServerConfig>, Arc<Self>) {
        let secrets = Arc::new(Self::default());
        let mut config = config.clone();
        config.key_log = Arc::clone(&secrets) as Arc<dyn KeyLog>;
        (Arc::new(config), secrets)
    }

    fn lock(&self) -> MutexGuard<'_, LoggedSecrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyLog for HandshakeSecrets {
    fn will_log(&self, label: &str) -> bool {
        matches!(label, CLIENT | SERVER)
    }

    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let secret = Some(Zeroizing::new(secret.to_vec()));
        match label {
            CLIENT => self.lock().client = secret,
            SERVER => self.lock().server = secret,
            _ => {}
        }
    }
}

impl fmt::Debug for HandshakeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeSecrets").finish_non_exhaustive()
    }
}

/// Whether a connection can be taken over at all: it speaks TLS 1.3.
pub(super) fn can_be_taken_over(session: &ServerConnection) -> bool {
    matches!(session.negotiated_cipher_suite(), Some(SupportedCipherSuite::Tls13(_)))
}

/// Sends what rustls still has to, which must have gone within `limit`. False: the client has ended the connection.
pub(super) async fn flush_pending(
    stream: &mut TlsStream<FollowedSocket<TcpStream>>,
    limit: Duration,
) -> Result<bool, TlsTakeoverError> {
    let session = stream.get_mut().1;
    if session.process_new_packets()?.peer_has_closed() {
        return Ok(false);
    }
    let owed = async {
        // If it owes its client a change of key, rustls writes that before the next content, be it none.
        io::Write::write(&mut stream.get_mut().1.writer(), &[])?;
        stream.flush().await
    };
    let sent = timeout(limit, owed).await.map_err(io::Error::from);
    sent.and_then(|sent| sent).map_err(TlsTakeoverError::Unsent)?;
    Ok(true)
}

/// Takes a connection over from rustls, between two records, once nothing is owed.
pub(super) fn take_over(
    stream: TlsStream<FollowedSocket<TcpStream>>,
    secrets: &HandshakeSecrets,
) -> Result<(TcpStream, TlsState), TlsTakeoverError> {
    let (socket, session) = stream.into_inner();
    Ok((socket.into_inner(), state(session, secrets)?))
}

fn state(
    session: ServerConnection,
    secrets: &HandshakeSecrets,
) -> Result<TlsState, TlsTakeoverError> {
    let ExtractedSecrets { tx, rx } = session.dangerous_extract_secrets()?;
    let mut logged = secrets.lock();
    let (client, server) = (logged.client.take(), logged.server.take());
    Ok(TlsState::new(direction(tx, server)?, direction(rx, client)?))
}

/// A direction, from the secret that it began with, the keys that are in use, and the number of the
/// next record.
fn direction(
    (next, keys): (u64, ConnectionTrafficSecrets),
    first: Option<Zeroizing<Vec<u8>>>,
) -> Result<Direction, TlsTakeoverError> {
    let (suite, key, iv): (_, AeadKey, Iv) = match keys {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (CipherSuite::Aes128Gcm, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (CipherSuite::Aes256Gcm, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            (CipherSuite::Chacha20Poly1305, key, iv)
        }
        _ => return Err(TlsTakeoverError::Suite),
    };
    let first = first.and_then(|first| TrafficSecret::new(suite, &first));
    let mut later = std::iter::successors(first, |secret| Some(secret.next())).take(1 + UPDATES);
    let secret = later.find(|secret| secret.gives(key.as_ref(), iv.as_ref()));
    Ok(Direction { secret: secret.ok_or(TlsTakeoverError::Mismatch)?, next })
}
