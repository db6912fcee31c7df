//! A real nginx of one's own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::free_port;

/// How long it may take to serve.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Ends it when the test does, also where the test is killed.
const KEEPER: &str = r#"
    PATH=$PATH:/usr/sbin nginx -c "$0" -g 'daemon off;' & read -r _
    kill $!; wait
"#;

/// A running nginx. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    address: SocketAddr,
    keeper: Child,
    directory: TempDir,
}

impl Nginx {
    /// Starts one with the configuration that `configure` gives for the address to listen on and a
    /// directory for whatever it writes.
    pub fn start(configure: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nginx.conf");
        fs::write(&path, configure(address, directory.path())).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let nginx = Self { address, keeper, directory };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                begun.elapsed() < TIMEOUT,
                "nginx does not serve (scripts/test installs it):\n{}",
                nginx.logged()
            );
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!nginx.logged().contains("[emerg]"), "{}", nginx.logged());
        nginx
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if thread::panicking() {
            eprintln!("--- nginx's log ---\n{}\n---", self.logged());
        }
    }
}
