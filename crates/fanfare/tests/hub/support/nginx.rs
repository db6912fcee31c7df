//! A real nginx, set up by `deploy/nginx.conf`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fanfare_testkit::free_port;
use tempfile::TempDir;

use super::{Hub, PATIENCE};

/// Ends it when the test does, also where the test is killed.
const KEEPER: &str = r#"
    nginx -c "$0" -g 'daemon off;' & read -r _
    kill $!; wait
"#;

/// A running nginx. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Nginx {
    address: SocketAddr,
    keeper: Child,
    directory: TempDir,
}

impl Nginx {
    /// In front of three nodes. Only addresses, paths and the user differ from the file.
    pub(crate) fn before(nodes: &[Hub; 3]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nginx.conf");
        let mut config = format!("user root;\n{}", fs::read_to_string(file).unwrap());
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let directory = tempfile::tempdir().unwrap();
        let mut set = |from: &str, to: &str| {
            assert!(config.contains(from), "nginx.conf has no {from:?}");
            config = config.replace(from, to);
        };
        for (n, node) in (1..).zip(nodes) {
            set(&format!("fanfare-{n}:8000"), &node.address().to_string());
        }
        set("listen 8080", &format!("listen {address}"));
        set("/tmp/", &format!("{}/", directory.path().display()));
        set("rlimit_nofile 400000", "rlimit_nofile 4096");
        set("worker_connections 65536", "worker_connections 2048");
        let path = directory.path().join("nginx.conf");
        fs::write(&path, config).unwrap();

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
            assert!(begun.elapsed() < PATIENCE, "nginx does not serve:\n{}", nginx.logged());
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!nginx.logged().contains("[emerg]"), "{}", nginx.logged());
        nginx
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
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
