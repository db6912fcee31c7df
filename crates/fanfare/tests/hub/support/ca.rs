//! A certificate authority of one test: trusted by those who are given its certificate.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};
use tempfile::TempDir;

use super::tls::trusting_certificate;

pub(crate) struct Ca {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca = Self { issuer, directory: TempDir::new().unwrap() };
        fs::write(ca.file(), ca.issuer.pem()).unwrap();
        ca
    }

    /// Its certificate, in PEM.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// What a server on this machine speaks TLS with.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign_server();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::from(key))
            .unwrap();
        Arc::new(config)
    }

    /// The same for others: a certificate and its key, in PEM.
    pub(super) fn server_pem(&self) -> (String, String) {
        let (certificate, key) = self.sign_server();
        (certificate.pem(), key.serialize_pem())
    }

    fn sign_server(&self) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client that trusts what it has signed, and nothing else.
    pub(crate) fn trust(&self) -> Arc<ClientConfig> {
        trusting_certificate(CertificateDer::clone(self.issuer.der()))
    }
}
