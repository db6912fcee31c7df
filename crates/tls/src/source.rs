//! Where the hub's certificate comes from, and how it stays fresh.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

#[cfg(feature = "acme")]
use crate::acme::{Acme, AcmeConfig};
use crate::files::Files;
use crate::{Tls, TlsError};

/// Where the certificate is to come from.
#[derive(Debug, Clone)]
pub enum TlsConfig {
    /// Files that someone else maintains, in PEM.
    Files {
        /// The hub's own certificate, then its issuers'.
        certificates: PathBuf,
        /// The key of the hub's own.
        key: PathBuf,
    },
    /// A certificate authority.
    #[cfg(feature = "acme")]
    Acme(AcmeConfig),
}

/// Where the certificate comes from.
#[derive(Debug)]
pub struct CertificateSource(Supply);

#[derive(Debug)]
enum Supply {
    Files(Files),
    #[cfg(feature = "acme")]
    Acme(Box<Acme>),
}

impl CertificateSource {
    /// Reads what is there, which for an authority may be nothing yet.
    pub fn open(config: TlsConfig) -> Result<(Arc<Tls>, Self), TlsError> {
        let (tls, source) = match config {
            TlsConfig::Files { certificates, key } => {
                let files = Files::new(certificates, key);
                (Tls::new(Some(files.read()?), None)?, Supply::Files(files))
            }
            #[cfg(feature = "acme")]
            TlsConfig::Acme(config) => {
                let (acme, kept) = Acme::open(config)?;
                (Tls::new(kept, Some(acme.challenges()))?, Supply::Acme(Box::new(acme)))
            }
        };
        Ok((Arc::new(tls), Self(source)))
    }

    /// Keeps what is shown fresh, for as long as the hub runs. `hangup` is notified on SIGHUP: look at once.
    /// `ordered` hears of each order of a certificate, whether one was issued.
    #[cfg_attr(not(feature = "acme"), expect(unused_variables, reason = "files are not ordered"))]
    pub async fn keep(
        self,
        tls: Arc<Tls>,
        ordered: impl Fn(bool) + Send + Sync,
        hangup: Arc<Notify>,
    ) {
        match self.0 {
            Supply::Files(files) => files.keep(&tls, &hangup).await,
            #[cfg(feature = "acme")]
            Supply::Acme(acme) => acme.keep(&tls, ordered, &hangup).await,
        }
    }
}
