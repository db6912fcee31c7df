//! Challenges: how the hub proves that a domain leads to it, with a certificate that only a
//! certificate authority asks for (TLS-ALPN-01, RFC 8737).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::sign::CertifiedKey;

/// The certificates that answer the challenges under way, by domain.
#[derive(Debug, Default)]
pub struct Challenges(Mutex<HashMap<String, Arc<CertifiedKey>>>);

/// A challenge is answered for as long as this lives.
#[derive(Debug)]
pub struct Answering {
    challenges: Arc<Challenges>,
    domain: String,
}

impl Challenges {
    /// Answers the challenge of this domain with this certificate.
    pub fn begin(self: &Arc<Self>, domain: &str, certificate: CertifiedKey) -> Answering {
        self.lock().insert(domain.to_owned(), Arc::new(certificate));
        Answering { challenges: Arc::clone(self), domain: domain.to_owned() }
    }

    pub(crate) fn answer(&self, domain: &str) -> Option<Arc<CertifiedKey>> {
        self.lock().get(&domain.to_ascii_lowercase()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.challenges.lock().remove(&self.domain);
    }
}
