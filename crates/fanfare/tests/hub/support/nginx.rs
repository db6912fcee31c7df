//! nginx, set up by `deploy/nginx.conf`.

use std::fs;
use std::path::Path;

use fanfare_testkit::Nginx;

use super::Hub;

/// In front of three nodes. Only addresses, paths and the user differ from the file.
pub(crate) fn nginx_before(nodes: &[Hub; 3]) -> Nginx {
    Nginx::start(|address, directory| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nginx.conf");
        let mut config = format!("user root;\n{}", fs::read_to_string(file).unwrap());
        let mut set = |from: &str, to: &str| {
            assert!(config.contains(from), "nginx.conf has no {from:?}");
            config = config.replace(from, to);
        };
        for (n, node) in (1..).zip(nodes) {
            set(&format!("fanfare-{n}:8000"), &node.address().to_string());
        }
        set("listen 8080", &format!("listen {address}"));
        set("/tmp/", &format!("{}/", directory.display()));
        set("rlimit_nofile 400000", "rlimit_nofile 4096");
        set("worker_connections 65536", "worker_connections 2048");
        config
    })
}
