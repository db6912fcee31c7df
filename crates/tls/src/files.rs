//! The files of a certificate: read when the hub starts, and again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanfare_files::{WatchedFiles, read_bounded};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;
use tokio::time::interval;

use crate::{Certificate, Tls, TlsError};

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Where a certificate chain and its key are, in PEM.
#[derive(Debug)]
pub(crate) struct Files {
    certificates: PathBuf,
    key: PathBuf,
    watched: WatchedFiles,
}

impl Files {
    pub(crate) fn new(certificates: PathBuf, key: PathBuf) -> Self {
        let watched = WatchedFiles::new(vec![certificates.clone(), key.clone()]);
        Self { certificates, key, watched }
    }

    /// Shows what the files hold whenever that changes.
    pub(crate) async fn keep(self, tls: &Tls, hangup: &Notify) {
        let files = Arc::new(self);
        let mut ticks = interval(WatchedFiles::INTERVAL);
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

    /// What the files hold, if they have changed since they were last read, or if `asked`. Blocks on
    /// the disk.
    fn refresh(&self, asked: bool) -> Result<Option<Certificate>, TlsError> {
        let is_unreadable = |error: &TlsError| matches!(error, TlsError::Unreadable { .. });
        self.watched.read_changed(asked, || self.read(), is_unreadable)
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

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    read_bounded(path, MAX_BYTES)
        .map_err(|source| TlsError::Unreadable { path: path.into(), source })
}
