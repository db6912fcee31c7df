//! TLS: the certificate the hub shows, and its replacement while connections are open.
//!
//! What must hold: the hub always has a certificate that fits its key. One that cannot be used is
//! reported and changes nothing; a good one counts for handshakes from then on, and for nothing
//! that is open already.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why HTTPS cannot be served, or not with the new files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("{path} is not PEM: {source}", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where it is damaged.
        source: pem::Error,
    },
    /// There is no certificate.
    #[error(
        "{path} holds no certificate; it needs at least one PEM section BEGIN CERTIFICATE",
        path = path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key.
    #[error(
        "{path} holds no private key; it needs a PEM section BEGIN PRIVATE KEY, without a password",
        path = path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in {key} does not belong to the first certificate in {certificates}",
        key = key.display(),
        certificates = certificates.display()
    )]
    Mismatch {
        /// The file of the certificates.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate or the key is of no kind that can be used.
    #[error(
        "{certificates} and {key} cannot be used: {source}",
        certificates = certificates.display(),
        key = key.display()
    )]
    Unusable {
        /// The file of the certificates.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// What the hub speaks TLS with.
#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    /// What the files looked like when they were last read, or found wanting.
    seen: Mutex<[Option<Stamp>; 2]>,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

/// By what a change of a file is noticed: when it was changed, how long it is, and which it is.
type Stamp = (SystemTime, u64, u64);

/// The certificate for the next handshake.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// ALPN's name of HTTP/2 (RFC 9113, 3.1).
    pub(crate) const HTTP2: &[u8] = b"h2";

    /// Reads a certificate chain and its key.
    pub(crate) fn open(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { certificates: certificates.into(), key: key.into() };
        let provider = Arc::new(default_provider());
        let seen = Mutex::new(files.stamps());
        let shown = Arc::new(Shown(RwLock::new(Arc::new(files.read(&provider)?))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![Self::HTTP2.to_vec(), b"http/1.1".to_vec()];
        // A fleet that reconnects resumes its sessions, and the hub remembers none of them.
        config.ticketer = Ticketer::new()?;
        Ok(Self { files, seen, shown, config: Arc::new(config) })
    }

    /// For the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again if they have changed since they were last looked at, or if `asked`;
    /// true if that was so. Blocks on the disk.
    pub(crate) fn refresh(&self, asked: bool) -> Result<bool, TlsError> {
        let stamps = self.files.stamps();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == stamps && !asked {
                return Ok(false);
            }
            // Before they are read: what changes meanwhile is a change again. Where one file is
            // replaced before the other, the first look fails and the second succeeds.
            *seen = stamps;
        }
        let read = Arc::new(self.files.read(self.config.crypto_provider())?);
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(true)
    }
}

impl Files {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.certificates, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        })
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let Self { certificates, key } = self;
        let damaged = |path: &Path, source| TlsError::Pem { path: path.into(), source };
        let chain = read(certificates)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let chain = chain.map_err(|source| damaged(certificates, source))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: certificates.clone() });
        }
        let der = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey { path: key.clone() },
            error => damaged(key, error),
        })?;
        CertifiedKey::from_der(chain, der, provider).map_err(|source| {
            let (certificates, key) = (certificates.clone(), key.clone());
            match source {
                rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { certificates, key },
                source => TlsError::Unusable { certificates, key, source },
            }
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.into(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("it is longer than {MAX_BYTES} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    Ok(bytes)
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
