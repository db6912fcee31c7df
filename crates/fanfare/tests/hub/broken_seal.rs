//! A stream over TLS 1.3, which a shard seals, is damaged by what its client injects, or by how slowly
//! it reads.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CipherSuite, ClientConfig, ClientConnection, HandshakeKind};

use crate::support::{
    Files, Hub, Identity, Publisher, TEST_TIMEOUT, await_that, certificate_name, trusting,
    trusting_over,
};

const GET: &str = "GET /sse/events HTTP/1.1\r\nHost: localhost\r\n";

/// A client whose TLS is in the open.
struct Client {
    tls: ClientConnection,
    socket: TcpStream,
    /// What has come of the stream, head and chunks included.
    received: Vec<u8>,
}

fn hub(arguments: &[&str]) -> (Hub, Arc<ClientConfig>) {
    let identity = Identity::generate();
    let files = Files::with(&identity);
    let arguments = files.arguments(arguments);
    let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    (hub, trusting(&identity))
}

fn publisher(hub: &Hub, trust: &Arc<ClientConfig>) -> Publisher {
    Publisher::over(hub.connect_securely(trust))
}

impl Client {
    fn connect(hub: &Hub, trust: &Arc<ClientConfig>) -> Self {
        let socket = TcpStream::connect(hub.address()).unwrap();
        socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        let tls = ClientConnection::new(Arc::clone(trust), certificate_name()).unwrap();
        let mut client = Self { tls, socket, received: Vec::new() };
        while client.tls.is_handshaking() {
            client.tls.complete_io(&mut client.socket).unwrap();
        }
        client
    }

    fn subscribe(hub: &Hub, trust: &Arc<ClientConfig>) -> Self {
        let mut client = Self::connect(hub, trust);
        client.send(&format!("{GET}\r\n"));
        client.begins();
        client
    }

    /// Reads the head of a stream that a shard has.
    fn begins(&mut self) {
        self.read_until("retry: ");
        let text = self.text();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains("connection: close\r\n"), "not taken over: {text}");
    }

    /// Seals it, and sends that.
    fn send(&mut self, text: &str) {
        self.tls.writer().write_all(text.as_bytes()).unwrap();
        self.flush();
    }

    /// What it would send, as bytes.
    fn sealed(&mut self, text: &str) -> Vec<u8> {
        self.tls.writer().write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn flush(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket).unwrap();
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Reads something; false once the hub has said that nothing more comes.
    fn read(&mut self) -> Result<bool, rustls::Error> {
        let mut block = [0; 65_536];
        loop {
            match self.tls.reader().read(&mut block) {
                Ok(read) => {
                    self.received.extend_from_slice(&block[..read]);
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let read = self.tls.read_tls(&mut self.socket).unwrap();
                    assert!(read > 0, "cut off after {}", self.text());
                    self.tls.process_new_packets()?;
                }
                Err(error) => panic!("{error}: {}", self.text()),
            }
        }
    }

    fn read_until(&mut self, part: &str) {
        let mut from = 0;
        let is_part = |bytes: &[u8]| bytes == part.as_bytes();
        while !self.received[from..].windows(part.len()).any(is_part) {
            from = self.received.len().saturating_sub(part.len() - 1);
            assert!(self.read().unwrap(), "ended before {part:?}: {}", self.text());
        }
    }

    /// The same, and lets go of what has come up to there.
    fn take_until(&mut self, part: &str) {
        self.read_until(part);
        let is_part = |bytes: &[u8]| bytes == part.as_bytes();
        let place = self.received.windows(part.len()).position(is_part).expect("it was read");
        self.received.drain(..place + part.len());
    }

    /// Reads to the end, which must be said.
    fn read_to_end(&mut self) -> String {
        while self.read().unwrap() {}
        self.text()
    }
}

#[test]
fn each_suite_is_sealed_as_its_standard_says() {
    let identity = Identity::generate();
    let files = Files::with(&identity);
    let arguments = files.arguments(&[]);
    let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let trust = trusting(&identity);
        let config = trusting_over(&identity, |known| known == suite, &[&TLS13]);
        let mut client = Client::subscribe(&hub, &config);
        assert_eq!(client.tls.negotiated_cipher_suite().unwrap().suite(), suite);
        let large = "0123456789".repeat(5_000);
        let mut publisher = publisher(&hub, &trust);
        publisher.send(&large);
        publisher.send("after");
        client.read_until("data: after");
        assert!(client.text().contains(&large), "{suite:?}");
    }
}

#[test]
fn a_client_may_change_its_key() {
    let (hub, trust) = hub(&[]);
    let mut publisher = publisher(&hub, &trust);
    // Before the request, and while the stream is open.
    let mut client = Client::connect(&hub, &trust);
    for _ in 0..3 {
        client.tls.refresh_traffic_keys().unwrap();
    }
    client.send(&format!("{GET}\r\n"));
    client.begins();
    for round in 0..5 {
        client.tls.refresh_traffic_keys().unwrap();
        client.send("no meaning");
        publisher.send(&format!("round {round}"));
        client.read_until(&format!("data: round {round}\n"));
    }
}

#[test]
fn a_client_that_says_it_is_done_is_told_when_to_return() {
    let (hub, trust) = hub(&["--retry", "7s"]);
    let mut client = Client::subscribe(&hub, &trust);
    client.tls.send_close_notify();
    client.flush();
    let text = client.read_to_end();
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    assert_eq!(text.matches("retry: ").count(), 2, "{text}");
    await_that("the stream is counted as its client's end", || {
        let metrics = hub.connect_securely(&trust).request("GET", "/metrics", &[], b"").text();
        metrics.contains("fanfare_closed_total{reason=\"client_gone\"} 1\n")
    });
}

#[test]
fn garbage_is_answered_by_an_alert() {
    let (hub, trust) = hub(&[]);
    for garbage in [&[23, 3, 3, 0, 32][..], b"GET / HTTP/1.1\r\n\r\n", &[21, 3, 3, 0, 2, 1, 0]] {
        let mut client = Client::subscribe(&hub, &trust);
        client.socket.write_all(garbage).unwrap();
        client.socket.write_all(&[0; 64]).unwrap();
        let error = loop {
            match client.read() {
                Ok(true) => {}
                Ok(false) => panic!("the stream ends as if nothing had happened"),
                Err(error) => break error,
            }
        };
        let expected = if garbage[0] == 23 {
            AlertDescription::BadRecordMac
        } else {
            AlertDescription::UnexpectedMessage
        };
        assert_eq!(error, rustls::Error::AlertReceived(expected), "{garbage:?}");
    }
    await_that("all three are counted", || {
        let metrics = hub.connect_securely(&trust).request("GET", "/metrics", &[], b"").text();
        metrics.contains("fanfare_closed_total{reason=\"connection_error\"} 3\n")
            && metrics.contains("fanfare_subscribers 0\n")
    });
}

#[test]
fn a_slow_client_gets_every_event_intact() {
    let (hub, trust) = hub(&["--max-message", "1MiB"]);
    let mut client = Client::subscribe(&hub, &trust);
    let mut publisher = publisher(&hub, &trust);
    let filler = "x".repeat(100_000);
    // Far more than sockets hold: the shard is left with a record that was sent in part.
    for number in 0..100 {
        publisher.send(&format!("{number} {filler}"));
    }
    for number in 0..100 {
        client.take_until(&format!("data: {number} {filler}\n"));
        if number % 10 == 0 {
            client.tls.refresh_traffic_keys().unwrap();
            client.flush();
        }
    }
    // The publisher's connection may have been idle for too long by now.
    self::publisher(&hub, &trust).send("last");
    client.read_until("data: last\n");
}

#[test]
fn a_partial_record_survives_the_takeover() {
    let (hub, trust) = hub(&[]);
    let mut publisher = publisher(&hub, &trust);
    let mut client = Client::connect(&hub, &trust);
    let mut bytes = client.sealed(&format!("{GET}\r\n"));
    let next = client.sealed("something that has no meaning");
    let (begun, rest) = next.split_at(next.len() / 2);
    bytes.extend_from_slice(begun);
    client.socket.write_all(&bytes).unwrap();
    client.read_until("retry: ");
    publisher.send("one");
    client.read_until("data: one\n");
    client.socket.write_all(rest).unwrap();
    publisher.send("two");
    client.read_until("data: two\n");
}

#[test]
fn pending_answers_survive_the_takeover() {
    let (hub, trust) = hub(&[]);
    let mut client = Client::connect(&hub, &trust);
    let body = r#"{"message":"published on the same connection"}"#;
    let publish = format!(
        "POST /sse/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let page = "GET /sse/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(&format!("{page}{page}{publish}{GET}Last-Event-ID: earliest\r\n\r\n"));
    client.read_until("data: published on the same connection\n");
    let text = client.text();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 4, "{text}");
    assert_eq!(text.matches("</html>").count(), 2, "{text}");
}

#[test]
fn a_client_may_resume_its_session() {
    let (hub, trust) = hub(&[]);
    let mut config = ClientConfig::clone(&trust);
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let mut publisher = publisher(&hub, &trust);
    let mut first = Client::subscribe(&hub, &config);
    assert_eq!(first.tls.handshake_kind(), Some(HandshakeKind::Full));
    let id = publisher.send("one");
    first.read_until("data: one\n");
    drop(first);
    publisher.send("missed");
    let mut again = Client::connect(&hub, &config);
    again.send(&format!("{GET}Last-Event-ID: {id}\r\n\r\n"));
    again.begins();
    assert_eq!(again.tls.handshake_kind(), Some(HandshakeKind::Resumed));
    again.read_until("data: missed\n");
    assert!(!again.text().contains("data: one\n"), "{}", again.text());
}

#[test]
fn a_client_of_the_older_protocol_has_a_stream() {
    let identity = Identity::generate();
    let files = Files::with(&identity);
    let arguments = files.arguments(&[]);
    let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let config = trusting_over(&identity, |_| true, &[&TLS12]);
    let mut client = Client::connect(&hub, &config);
    client.send(&format!("{GET}\r\n"));
    client.read_until("retry: ");
    publisher(&hub, &trusting(&identity)).send("one");
    client.read_until("data: one\n");
}

#[test]
fn a_client_that_vanishes_gives_up_its_place() {
    let (hub, trust) = hub(&[]);
    let client = Client::subscribe(&hub, &trust);
    drop(client);
    let begun = Instant::now();
    loop {
        let metrics = hub.connect_securely(&trust).request("GET", "/metrics", &[], b"").text();
        if metrics.contains("fanfare_subscribers 0\n") {
            break;
        }
        assert!(begun.elapsed() < TEST_TIMEOUT, "{metrics}");
        thread::sleep(Duration::from_millis(20));
    }
}
