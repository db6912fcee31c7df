//! Certificates made for one test, and clients that trust them and nothing else.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DEFAULT_VERSIONS, RootCertStore,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::TEST_TIMEOUT;

/// A certificate that signs itself, and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    /// The certificate, in PEM.
    pub(crate) certificate_pem: String,
    /// The key, in PEM.
    pub(crate) key_pem: String,
}

/// The files a hub reads its certificate and key from; removed when dropped.
#[derive(Debug)]
pub(crate) struct Files(TempDir);

impl Identity {
    /// A new one.
    pub(crate) fn generate() -> Self {
        let CertifiedKey::<KeyPair> { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            certificate: cert.der().clone(),
            certificate_pem: cert.pem(),
            key_pem: signing_key.serialize_pem(),
        }
    }
}

impl Files {
    /// Files with this identity.
    pub(crate) fn with(identity: &Identity) -> Self {
        let files = Self(TempDir::new().unwrap());
        files.replace(identity);
        files
    }

    /// Puts another identity in their place, one file after the other.
    pub(crate) fn replace(&self, identity: &Identity) {
        fs::write(self.certificate(), &identity.certificate_pem).unwrap();
        fs::write(self.key(), &identity.key_pem).unwrap();
    }

    /// Where the certificate is.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    /// Where the key is.
    pub(crate) fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// The arguments that name them, and more.
    pub(crate) fn arguments(&self, more: &[&str]) -> Vec<String> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let mut arguments = vec!["--tls-cert".to_owned(), path(&self.certificate())];
        arguments.extend(["--tls-key".to_owned(), path(&self.key())]);
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        arguments
    }
}

/// A client that trusts this identity alone, and resumes no session.
pub(crate) fn trusting(identity: &Identity) -> Arc<ClientConfig> {
    trusting_certificate(identity.certificate.clone())
}

/// The same of one certificate, and what it has signed.
pub(super) fn trusting_certificate(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    trusting_with(certificate, default_provider(), DEFAULT_VERSIONS)
}

/// The same of an identity, with these suites and versions of the protocol alone.
pub(crate) fn trusting_over(
    identity: &Identity,
    suites: impl Fn(CipherSuite) -> bool,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut provider = default_provider();
    provider.cipher_suites.retain(|suite| suites(suite.suite()));
    trusting_with(identity.certificate.clone(), provider, versions)
}

fn trusting_with(
    certificate: CertificateDer<'static>,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// The certificate that is shown there, if it is trusted.
pub(crate) fn certificate_shown(address: SocketAddr, trust: &Arc<ClientConfig>) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut client = ClientConnection::new(Arc::clone(trust), name()).unwrap();
    while client.is_handshaking() {
        client.complete_io(&mut socket).expect("what is shown is trusted");
    }
    client.peer_certificates().unwrap()[0].to_vec()
}

/// What the identities are made out to.
pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}
