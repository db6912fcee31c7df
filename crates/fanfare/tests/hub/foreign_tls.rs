//! Other people's TLS cannot read what a shard seals: OpenSSL, curl, Go and Java, as they are
//! installed.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::io::ioctl_fionread;
use rustls::ClientConfig;
use tempfile::TempDir;

use crate::support::{Files, Hub, Identity, Publisher, await_that, trusting};

/// A hub over TLS, and what is needed to speak with it.
struct Secure {
    hub: Hub,
    files: Files,
    trust: Arc<ClientConfig>,
    publisher: Publisher,
}

/// Someone else's client, whose output is read as it comes; killed when dropped.
struct Foreign {
    child: Child,
    input: ChildStdin,
    output: Arc<Mutex<Vec<u8>>>,
    /// Ends when the output does.
    reader: Option<JoinHandle<()>>,
}

impl Secure {
    fn start() -> Self {
        let identity = Identity::generate();
        let files = Files::with(&identity);
        let arguments = files.arguments(&[]);
        let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let trust = trusting(&identity);
        let publisher = Publisher::over(hub.connect_securely(&trust));
        Self { hub, files, trust, publisher }
    }

    /// Has another process go on with all streams.
    fn upgrade(&mut self) {
        let said = self.hub.upgrade();
        assert!(said.contains("\n0 streams were closed"), "{said}");
        self.publisher = Publisher::over(self.hub.connect_securely(&self.trust));
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/sse/events", self.hub.address().port())
    }

    fn certificate(&self) -> PathBuf {
        self.files.certificate()
    }

    /// Holds a client to a stream: small events and a large one, a heap of them at once, an
    /// interruption, and an end in good order. `command` is for one who resumes with this id.
    fn serves(&mut self, command: impl Fn(&Self, Option<&str>) -> Command) {
        let client = Foreign::start(command(self, None));
        client.await_text("retry: ");
        self.publisher.send("small");
        let large = "0123456789".repeat(20_000);
        self.publisher.send(&large);
        let ids = self.publisher.count("default", 0..500);
        client.await_text("data: 499\n");
        assert!(client.text().contains("data: small\n"));
        assert!(client.text().contains(&format!("data: {large}\n")), "a large event is damaged");
        drop(client);

        let mut client = Foreign::start(command(self, Some(&ids[490])));
        client.await_text("data: 499\n");
        assert!(!client.text().contains("data: 490\n"), "{}", client.text());
        self.hub.terminate();
        client.assert_clean_end();
        assert_eq!(client.text().matches("retry: ").count(), 2, "{}", client.text());
    }
}

impl Foreign {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (input, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let output = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&output);
        let reader = thread::spawn(move || {
            let mut block = [0; 65_536];
            while let Ok(read @ 1..) = stdout.read(&mut block) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.extend_from_slice(&block[..read]);
            }
        });
        Self { child, input, output, reader: Some(reader) }
    }

    fn say(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
        // OpenSSL looks for a command only at the beginning of what it reads at once.
        await_that("it is read", || ioctl_fionread(&self.input).unwrap() == 0);
    }

    fn text(&self) -> String {
        let seen = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&seen).replace("\r\n", "\n")
    }

    fn await_text(&self, part: &str) {
        await_that(part, || self.text().contains(part));
    }

    fn assert_clean_end(&mut self) {
        await_that("the client ends", || self.child.try_wait().unwrap().is_some());
        assert!(self.child.wait().unwrap().success(), "{}", self.text());
        // What it said last may still be in the pipe.
        self.reader.take().into_iter().for_each(|reader| reader.join().unwrap());
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hub/foreign_tls").join(file)
}

fn openssl(secure: &Secure, more: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_3", "-servername", "localhost", "-verify_return_error"]);
    command.args(["-connect", &secure.hub.address().to_string(), "-CAfile"]);
    command.arg(secure.certificate()).args(more);
    command.stderr(Stdio::null());
    command
}

const GET: &str = "GET /sse/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn openssl_reads_every_suite() {
    for suite in
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    {
        let mut secure = Secure::start();
        let mut client = Foreign::start(openssl(&secure, &["-quiet", "-ciphersuites", suite]));
        client.say(GET);
        client.await_text("retry: ");
        let large = "0123456789".repeat(20_000);
        secure.publisher.send(&large);
        secure.publisher.send("after");
        client.await_text("data: after\n");
        assert!(client.text().contains(&format!("data: {large}\n")), "{suite}");
        secure.hub.terminate();
        client.assert_clean_end();
        assert!(client.text().ends_with("\n0\n\n"), "{suite}: {}", client.text());
    }
}

#[test]
fn openssl_may_change_its_key() {
    let mut secure = Secure::start();
    let mut client = Foreign::start(openssl(&secure, &[]));
    client.await_text("Verify return code: 0");
    client.say(GET);
    client.await_text("retry: ");
    // `k` changes the client's key, `K` asks for another of the hub's as well.
    for (round, command) in ["k\n", "K\n", "K\n", "k\n", "K\n"].iter().enumerate() {
        client.say(command);
        secure.publisher.send(&format!("one {round}"));
        client.await_text(&format!("data: one {round}\n"));
        client.say("text without a meaning\n");
        secure.publisher.send(&format!("two {round}"));
        client.await_text(&format!("data: two {round}\n"));
    }
    // It says `close_notify`, and reads on until the hub has ended the stream.
    client.say("Q\n");
    await_that("it ends", || client.child.try_wait().unwrap().is_some());
}

#[test]
fn openssl_may_change_its_key_across_an_upgrade() {
    let mut secure = Secure::start();
    let mut clients: Vec<_> = (0..2).map(|_| Foreign::start(openssl(&secure, &[]))).collect();
    for client in &mut clients {
        client.await_text("Verify return code: 0");
        client.say(GET);
        client.await_text("retry: ");
    }
    for (round, command) in ["k\n", "K\n", "K\n", "k\n"].iter().enumerate() {
        for client in &mut clients {
            // The hub follows at once; its own change is due until it says something.
            client.say(command);
            client.say("text without a meaning\n");
        }
        secure.upgrade();
        secure.publisher.send(&format!("one {round}"));
        clients.iter().for_each(|client| client.await_text(&format!("data: one {round}\n")));
        clients.iter_mut().for_each(|client| client.say(command));
        secure.publisher.send(&format!("two {round}"));
        clients.iter().for_each(|client| client.await_text(&format!("data: two {round}\n")));
    }
    secure.upgrade();
    let mut leaving = clients.pop().unwrap();
    leaving.say("Q\n");
    await_that("it ends", || leaving.child.try_wait().unwrap().is_some());
    secure.hub.terminate();
    let mut staying = clients.pop().unwrap();
    staying.assert_clean_end();
    assert!(staying.text().contains("\n0\n\n"), "{}", staying.text());
}

#[test]
fn curl_does_not_notice_ten_upgrades_over_tls() {
    let mut secure = Secure::start();
    let mut command = Command::new("curl");
    command.args(["-sN", "--http1.1", "--tlsv1.3", "--cacert"]).arg(secure.certificate());
    command.arg(secure.url());
    let mut client = Foreign::start(command);
    client.await_text("retry: ");
    for number in 0..10 {
        secure.upgrade();
        secure.publisher.send(&format!("after {number}"));
    }
    client.await_text("data: after 9\n");
    for number in 0..10 {
        assert_eq!(client.text().matches(&format!("data: after {number}\n")).count(), 1);
    }
    secure.hub.terminate();
    client.assert_clean_end();
}

#[test]
fn curl_reads_a_stream() {
    Secure::start().serves(|secure, last| {
        let mut command = Command::new("curl");
        command.args(["-sN", "--http1.1", "--tlsv1.3", "--cacert"]).arg(secure.certificate());
        if let Some(last) = last {
            command.args(["-H", &format!("Last-Event-ID: {last}")]);
        }
        command.arg(secure.url());
        command
    });
}

#[test]
fn go_reads_a_stream() {
    let directory = TempDir::new().unwrap();
    let program = directory.path().join("subscribe");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(here("subscribe.go"));
    assert!(build.status().unwrap().success(), "{build:?}");
    Secure::start().serves(|secure, last| {
        let mut command = Command::new(&program);
        command.arg(secure.url()).arg(secure.certificate()).args(last);
        command
    });
}

#[test]
fn java_reads_a_stream() {
    let directory = TempDir::new().unwrap();
    let mut build = Command::new("javac");
    build.arg("-d").arg(directory.path()).arg(here("Subscribe.java"));
    assert!(build.status().unwrap().success(), "{build:?}");
    Secure::start().serves(|secure, last| {
        let mut command = Command::new("java");
        command.arg("-cp").arg(directory.path()).arg("Subscribe");
        command.arg(secure.url()).arg(secure.certificate()).args(last);
        command
    });
}
