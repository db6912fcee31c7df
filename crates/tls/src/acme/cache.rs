//! What outlives the hub: the account with a certificate authority, and the certificate it issued.
//!
//! What must hold: only the hub's own user can read a file; a crash leaves the old content or the
//! new; what one authority has issued is never taken for another's.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fanfare_files::read_bounded;
use instant_acme::AccountCredentials;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Certificate;

const ACCOUNT: &str = "account.json";
/// The key first, then the chain: one file, so that they cannot be of different orders.
const CERTIFICATE: &str = "certificate.pem";
/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A directory of one authority's files.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

/// Why nothing can be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{path} is damaged ({source}): remove it, and a new one is made", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Cache {
    /// Makes the directory if it is not there.
    pub(super) fn open(directory: &Path, authority: &str) -> Result<Self, CacheError> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
        let name: String = authority.trim_start_matches("https://").chars().map(plain).collect();
        let path = directory.join(name);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(failed("make the directory", &path))?;
        Ok(Self(path))
    }

    pub(super) fn account(&self) -> Result<Option<AccountCredentials>, CacheError> {
        let Some((path, text)) = self.read(ACCOUNT)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(damaged(&path))
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> Result<(), CacheError> {
        let text = serde_json::to_vec(account).map_err(damaged(&self.0.join(ACCOUNT)))?;
        self.replace(ACCOUNT, &text)
    }

    pub(super) fn forget_account(&self) -> Result<(), CacheError> {
        let path = self.0.join(ACCOUNT);
        fs::remove_file(&path).map_err(failed("remove", &path))
    }

    pub(super) fn certificate(&self) -> Result<Option<Certificate>, CacheError> {
        let Some((path, text)) = self.read(CERTIFICATE)? else { return Ok(None) };
        parse(&text).map(Some).map_err(damaged(&path))
    }

    /// Keeps a chain and its key, both in PEM, if they are of use.
    pub(super) fn keep_certificate(
        &self,
        key: &str,
        chain: &str,
    ) -> Result<Certificate, CacheError> {
        let text = format!("{}\n{chain}", key.trim_end());
        let certificate = parse(text.as_bytes()).map_err(damaged(&self.0.join(CERTIFICATE)))?;
        self.replace(CERTIFICATE, text.as_bytes())?;
        Ok(certificate)
    }

    /// Whoever worked on it did not come to an end.
    pub(super) fn unusable(&self, panic: tokio::task::JoinError) -> CacheError {
        failed("work in", &self.0)(io::Error::other(panic))
    }

    fn read(&self, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>, CacheError> {
        let path = self.0.join(name);
        match read_bounded(&path, MAX_BYTES) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    fn replace(&self, name: &str, text: &[u8]) -> Result<(), CacheError> {
        let (path, unfinished) = (self.0.join(name), self.0.join(format!("{name}.tmp")));
        // One that a crash left behind may be open to others.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &unfinished)(error));
            }
            _ => {}
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&unfinished);
        file.and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| File::open(&self.0)?.sync_all())
            .map_err(failed("write", &path))
    }
}

fn parse(text: &[u8]) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
    let key = PrivateKeyDer::from_pem_slice(text)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    Ok(Certificate::new(chain?, key)?)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io { action, path, source }
}

fn damaged<E: Into<Box<dyn Error + Send + Sync>>>(path: &Path) -> impl FnOnce(E) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Damaged { path, source: source.into() }
}
