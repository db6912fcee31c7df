//! ACME: certificates that the hub orders for itself (RFC 8555), and renews.
//!
//! What must hold: whatever fails here, what is shown stays as it is, streams go on, and the next
//! attempt is neither forgotten nor made in haste.

mod authority_client;
mod cache;
mod error;
mod order;
mod schedule;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fanfare_event::Timestamp;
use fanfare_net::{AcmeDirectory, Contact, Domain};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use authority_client::BOUNDS;
use cache::Cache;
pub use cache::CacheError;
pub use error::AcmeError;

use crate::{Certificate, Challenges, HttpClient, Tls};

/// How long an order may take, from the account to the certificate.
const ORDER: Duration = Duration::from_secs(300);
/// How often the clock is looked at: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(600);

/// What certificates are ordered for, where, and by whom.
#[derive(Debug, Clone)]
pub struct AcmeConfig {
    /// The domains, of which the first gives the certificate its name.
    pub domains: Vec<Domain>,
    /// Whom the authority may write to.
    pub contacts: Vec<Contact>,
    /// The authority.
    pub directory: AcmeDirectory,
    /// The directory in which the account and the certificate are kept.
    pub cache: PathBuf,
}

/// Orders certificates for a set of domains.
pub(crate) struct Acme {
    domains: Vec<Domain>,
    contacts: Vec<Contact>,
    directory: AcmeDirectory,
    cache: Cache,
    client: HttpClient,
    challenges: Arc<Challenges>,
}

impl Acme {
    /// Also gives the certificate that was kept last.
    pub(crate) fn open(config: AcmeConfig) -> Result<(Self, Option<Certificate>), AcmeError> {
        let AcmeConfig { domains, contacts, directory, cache } = config;
        let cache = Cache::open(&cache, directory.url())?;
        let kept = cache.certificate()?;
        let client = HttpClient::secure(BOUNDS).map_err(AcmeError::Client)?;
        let acme = Self { domains, contacts, directory, cache, client, challenges: Arc::default() };
        Ok((acme, kept))
    }

    /// What answers the authority when it comes.
    pub(crate) fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges)
    }

    /// Orders a certificate when one is due, and shows it. `hangup` is notified on SIGHUP: try at once what is
    /// due, or has failed.
    pub(crate) async fn keep(self, tls: &Tls, ordered: impl Fn(bool), hangup: &Notify) {
        let kept = tls.shown().filter(|kept| self.is_for_all(kept));
        let mut due = kept.map_or_else(SystemTime::now, |kept| {
            tracing::info!(until = %Timestamp::from(kept.validity().until), "the certificate that was kept is shown");
            schedule::renewal(kept.validity())
        });
        let mut next = due;
        let mut failures = 0;
        loop {
            await_time(next, hangup).await;
            if SystemTime::now() < due {
                tracing::info!(due = %Timestamp::from(due), "the certificate need not be renewed yet");
                continue;
            }
            let outcome = timeout(ORDER, self.order()).await;
            let outcome = outcome.unwrap_or(Err(AcmeError::Late(ORDER)));
            ordered(outcome.is_ok());
            match outcome {
                Ok(certificate) => {
                    let validity = certificate.validity();
                    due = schedule::first_renewal(validity, SystemTime::now());
                    (next, failures) = (due, 0);
                    tls.show(certificate);
                    tracing::info!(
                        domains = self.names(),
                        until = %Timestamp::from(validity.until),
                        renewal = %Timestamp::from(due),
                        "a certificate has been issued"
                    );
                }
                Err(error) => {
                    failures += 1;
                    let wait = schedule::retry(failures);
                    next = SystemTime::now() + wait;
                    let shown = tls
                        .shown()
                        .map(|shown| Timestamp::from(shown.validity().until).to_string());
                    tracing::error!(
                        %error,
                        domains = self.names(),
                        failures,
                        retry_in = ?wait,
                        shown_until = shown,
                        "no certificate has been issued; what was shown stays"
                    );
                }
            }
        }
    }

    fn is_for_all(&self, certificate: &Certificate) -> bool {
        let mut names = self.domains.iter().map(Domain::server_name);
        names.all(|name| name.is_some_and(|name| certificate.is_for(&name)))
    }

    fn names(&self) -> String {
        self.domains.iter().map(Domain::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Does something with the cache, which may be on a disk that hangs.
    async fn cache<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> Result<T, CacheError> + Send + 'static,
    ) -> Result<T, AcmeError> {
        let cache = self.cache.clone();
        let done = tokio::task::spawn_blocking(move || work(&cache)).await;
        Ok(done.map_err(|panic| self.cache.unusable(panic))??)
    }
}

/// Waits until `next`, or for a hangup.
async fn await_time(next: SystemTime, hangup: &Notify) {
    while let Ok(left) = next.duration_since(SystemTime::now()) {
        tokio::select! {
            () = sleep(left.min(LOOK)) => {}
            () = hangup.notified() => return,
        }
    }
}

impl std::fmt::Debug for Acme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acme")
            .field("domains", &self.domains)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
