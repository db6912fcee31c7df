//! Pebble: the certificate authority for tests that Let's Encrypt maintains. `scripts/pebble` builds
//! it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use fanfare_testkit::free_port;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::tls::trusting_certificate;
use super::{Ca, Connection, await_that};

/// Where one is going to listen, and whom its own certificate is from.
pub(crate) struct Place {
    api: SocketAddr,
    management: SocketAddr,
    ca: Ca,
}

/// A running one; dropping it ends it.
pub(crate) struct Pebble {
    child: Child,
    place: Place,
}

impl Place {
    pub(crate) fn find() -> Self {
        let [api, management] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        Self { api, management, ca: Ca::new() }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.api.port())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.ca.file()
    }

    /// Starts one that takes what answers on this port for port 443 of every domain.
    pub(crate) fn settle(self, port: u16) -> Pebble {
        let program = std::env::var_os("PEBBLE").expect("scripts/pebble says where it is");
        let file = |name: &str| self.ca.file().with_file_name(name);
        let (certificate, key) = self.ca.server_pem();
        fs::write(file("server.pem"), certificate).unwrap();
        fs::write(file("key.pem"), key).unwrap();
        let settings = json!({"pebble": {
            "listenAddress": self.api, "managementListenAddress": self.management,
            "certificate": file("server.pem"), "privateKey": file("key.pem"),
            "tlsPort": port, "httpPort": 1, "keyAlgorithm": "ecdsa",
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": {"description": "short", "validityPeriod": 6}},
        }});
        fs::write(file("pebble.json"), settings.to_string()).unwrap();
        let child = Command::new(program)
            .arg("-config")
            .arg(file("pebble.json"))
            .arg("-strict")
            .env("PEBBLE_VA_NOSLEEP", "1")
            // By chance it would refuse one nonce after the other, more than any client bears.
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .stdout(Stdio::null())
            .spawn()
            .expect("Pebble runs");
        let (api, management) = (self.api, self.management);
        let pebble = Pebble { child, place: self };
        await_that("Pebble", || [api, management].iter().all(|at| TcpStream::connect(at).is_ok()));
        pebble
    }
}

impl Pebble {
    /// A client that trusts what it issues: its root is another each time.
    pub(crate) fn trust(&self) -> Arc<ClientConfig> {
        let mut management = Connection::open_secure(self.place.management, &self.place.ca.trust());
        let root = management.request("GET", "/roots/0", &[], b"");
        trusting_certificate(CertificateDer::from_pem_slice(&root.body).unwrap())
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
