//! The files of a certificate: read when the hub starts, and again when they change.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;
use tokio::time::interval;

use crate::{Certificate, Tls, TlsError};

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// How often they are looked at.
const REFRESH: Duration = Duration::from_secs(2);

/// Where a certificate chain and its key are, in PEM.
#[derive(Debug)]
pub(crate) struct Files {
    certificates: PathBuf,
    key: PathBuf,
    /// What the files looked like when they were last read, or found wanting.
    seen: Mutex<[Option<CertificateStamp>; 2]>,
}

/// By what a change of a file is noticed: when it was changed, how long it is, and which it is.
type CertificateStamp = (SystemTime, u64, u64);

impl Files {
    pub(crate) fn new(certificates: PathBuf, key: PathBuf) -> Self {
        let seen = Mutex::new([&certificates, &key].map(|path| stamp(path)));
        Self { certificates, key, seen }
    }

    /// Shows what the files hold whenever that changes.
    pub(crate) async fn keep(self, tls: &Tls, hangup: &Notify) {
        let files = Arc::new(self);
        let mut ticks = interval(REFRESH);
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                () = hangup.notified() => true,
            };
            let files = Arc::clone(&files);
            // They may be on a disk that hangs.
            match tokio::task::spawn_blocking(move || files.refresh(asked)).await {
                Ok(Ok(Some(certificate))) => {
                    tls.show(certificate);
                    tracing::info!("the TLS certificate was read again");
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "the new TLS certificate is not used; the old one stays");
                }
                Err(error) => tracing::error!(%error, "the TLS certificate could not be looked at"),
            }
        }
    }

    /// What the files hold, if they have changed since they were last looked at, or if `asked`.
    /// Blocks on the disk.
    fn refresh(&self, asked: bool) -> Result<Option<Certificate>, TlsError> {
        let stamps = [&self.certificates, &self.key].map(|path| stamp(path));
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == stamps && !asked {
                return Ok(None);
            }
            // Before they are read: what changes meanwhile is a change again. Where one file is
            // replaced before the other, the first look fails and the second succeeds.
            *seen = stamps;
        }
        self.read().map(Some)
    }

    pub(crate) fn read(&self) -> Result<Certificate, TlsError> {
        let Self { certificates, key, .. } = self;
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
        Certificate::new(chain, der).map_err(|source| {
            let (certificates, key) = (certificates.clone(), key.clone());
            match source {
                rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { certificates, key },
                source => TlsError::Unusable { certificates, key, source },
            }
        })
    }
}

fn stamp(path: &Path) -> Option<CertificateStamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
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
