//! A stream over TLS with both its ends: rustls as the client, and a socket that takes little at once.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_handover::{Reader, Writer};
use rcgen::{CertifiedKey, KeyPair};
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ExtractedSecrets, KeyLog, RootCertStore,
    ServerConfig, ServerConnection,
};

use super::super::record::ContentType;
use super::super::sealer::Sealer;
use super::super::{CipherSuite, Direction, TlsSocket, TlsState, TrafficSecret};
use crate::sink_io::{Buffer, Inbound, WriteResult};

const TEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How many records a secret seals here.
pub(super) const FEW: u64 = 40;
/// As a sink asks.
const ROUNDS: usize = 16;

/// A stream with both its ends.
pub(super) struct Stream {
    pub(super) tls: TlsSocket,
    pub(super) scratch: Vec<u8>,
    pub(super) client: ClientConnection,
    pub(super) socket: TcpStream,
    /// What the client seals with, for records that rustls would not make.
    pub(super) forger: Sealer,
}

#[derive(Debug, Default)]
struct Secrets(Mutex<(Vec<u8>, Vec<u8>)>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let mut secrets = self.0.lock().unwrap();
        match label {
            "CLIENT_TRAFFIC_SECRET_0" => secrets.0 = secret.to_vec(),
            "SERVER_TRAFFIC_SECRET_0" => secrets.1 = secret.to_vec(),
            _ => {}
        }
    }
}

fn provider(suite: CipherSuite) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|known| u16::from(known.suite()) == suite.number());
    Arc::new(provider)
}

/// A stream right after its handshake, over a socket that takes little at once.
pub(super) fn stream(suite: CipherSuite) -> Stream {
    let CertifiedKey::<KeyPair> { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider(suite))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider(suite))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let secrets = Arc::new(Secrets::default());
    server.key_log = Arc::clone(&secrets) as Arc<dyn KeyLog>;
    server.enable_secret_extraction = true;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    // So that it is soon full. A small receive buffer would have the kernel wait, too.
    set_socket_send_buffer_size(&accepted, 8192).unwrap();
    accepted.set_nodelay(true).unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut socket).unwrap();
        if server.wants_read() && server.is_handshaking() {
            server.read_tls(&mut accepted).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut accepted).unwrap();
        }
        if client.is_handshaking() {
            client.read_tls(&mut socket).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    let ExtractedSecrets { tx, rx } = server.dangerous_extract_secrets().unwrap();
    let (client_secret, server_secret) = std::mem::take(&mut *secrets.0.lock().unwrap());
    let direction = |secret: &[u8], next| Direction {
        secret: TrafficSecret::new(suite, secret).unwrap(),
        next,
    };
    accepted.set_nonblocking(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    let state = TlsState::new(direction(&server_secret, tx.0), direction(&client_secret, rx.0));
    Stream {
        tls: TlsSocket::new(mio::net::TcpStream::from_std(accepted), state, FEW),
        scratch: Vec::new(),
        client,
        socket,
        forger: Sealer::new(direction(&client_secret, rx.0), FEW),
    }
}

impl Stream {
    pub(super) fn write(&mut self, pieces: &[Bytes]) -> WriteResult {
        let buffers: Vec<_> = pieces.iter().map(Buffer::Pending).collect();
        self.tls.write(&buffers, &mut self.scratch, Instant::now()).unwrap()
    }

    pub(super) fn finish(&mut self) -> bool {
        self.tls.finish(&mut self.scratch, Instant::now()).unwrap()
    }

    /// The same stream, written down and read again.
    pub(super) fn move_on(self) -> Self {
        let Self { tls, scratch, client, socket, forger } = self;
        let (server_socket, state) = tls.into_parts();
        let written = written(&state);
        let mut reader = Reader::new(&written);
        let read = TlsState::read(&mut reader).unwrap();
        reader.end().unwrap();
        assert_eq!(self::written(&read), written);
        let tls = TlsSocket::new(server_socket, read, FEW);
        Self { tls, scratch, client, socket, forger }
    }

    /// Has the client read from its socket, and the hub send what has been waiting.
    pub(super) fn read_more(&mut self) -> Result<(), rustls::Error> {
        let begun = Instant::now();
        loop {
            self.write(&[]);
            match self.client.read_tls(&mut self.socket) {
                Ok(0) => panic!("the stream was cut off"),
                Ok(_) => return self.client.process_new_packets().map(drop),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    assert!(begun.elapsed() < TEST_TIMEOUT, "nothing comes");
                    std::thread::sleep(Duration::from_micros(100));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What the client has received when it has so many bytes more, or the stream's end.
    pub(super) fn receive(&mut self, bytes: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < bytes {
            let mut block = [0; 4096];
            match self.client.reader().read(&mut block) {
                Ok(0) => break,
                Ok(read) => all.extend_from_slice(&block[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.read_more().unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        all
    }

    pub(super) fn send_client(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.socket).unwrap();
        }
    }

    /// Sends a record of this content, which rustls need not agree with.
    pub(super) fn forge(&mut self, kind: ContentType, content: &[u8]) {
        let mut record = Vec::new();
        self.forger.seal(kind, &mut record, |out| out.extend_from_slice(content));
        self.socket.write_all(&record).unwrap();
    }

    /// What the hub makes of what comes next.
    pub(super) fn hear(&mut self) -> Inbound {
        let begun = Instant::now();
        while self.tls.socket().peek(&mut [0]).is_err() {
            assert!(begun.elapsed() < TEST_TIMEOUT, "nothing comes");
            std::thread::sleep(Duration::from_micros(100));
        }
        self.tls.read(ROUNDS, Instant::now())
    }

    /// What it makes of it in the end.
    pub(super) fn drain_inbound(&mut self) -> Inbound {
        loop {
            match self.hear() {
                Inbound::Nothing => {}
                heard => return heard,
            }
        }
    }

    /// What the client is told instead of what it would have received.
    pub(super) fn alert(&mut self) -> AlertDescription {
        loop {
            match self.read_more() {
                Ok(_) => {}
                Err(rustls::Error::AlertReceived(alert)) => return alert,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

pub(super) fn written(state: &TlsState) -> Vec<u8> {
    let mut writer = Writer::with_capacity(state.record_length());
    state.write(&mut writer);
    assert_eq!(writer.len(), state.record_length(), "no room for secrets was added");
    writer.finish()
}
