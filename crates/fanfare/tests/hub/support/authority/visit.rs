//! The visit by which a domain is proved (TLS-ALPN-01, RFC 8737, 3).

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, Stream,
};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::asn1_rs::oid;
use x509_parser::parse_x509_certificate;

use super::Shared;
use crate::support::TEST_TIMEOUT;

/// The certificate of a challenge is signed by nobody else: what it says is all there is to check.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Shared {
    /// Goes where a domain leads and looks whether this key authorization is known there.
    pub(super) fn visit(&self, domain: &str, key_authorization: &str) -> Result<(), String> {
        let shown = shown(&self.resolve_domain(domain)?, domain)?;
        let (_, certificate) =
            parse_x509_certificate(&shown).map_err(|error| format!("no certificate: {error}"))?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| &*names.value.general_names).unwrap_or_default();
        if names != [GeneralName::DNSName(domain)] {
            return Err(format!("the certificate is for {names:?}"));
        }
        // id-pe-acmeIdentifier, critical: an octet string of the digest.
        let proof = certificate
            .get_extension_unique(&oid!(1.3.6.1.5.5.7.1.31))
            .ok()
            .flatten()
            .ok_or("the certificate proves nothing")?;
        let wanted = digest(&SHA256, key_authorization.as_bytes());
        if !proof.critical || proof.value != [&[4, 32], wanted.as_ref()].concat() {
            return Err("the certificate proves something else".to_owned());
        }
        Ok(())
    }

    fn resolve_domain(&self, domain: &str) -> Result<TcpStream, String> {
        let socket = TcpStream::connect(self.resolve(domain)).map_err(|error| error.to_string())?;
        socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        Ok(socket)
    }
}

/// The certificate that is shown to an authority.
fn shown(mut socket: &TcpStream, domain: &str) -> Result<Vec<u8>, String> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let name = ServerName::try_from(domain.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    Stream::new(&mut client, &mut socket).flush().map_err(|error| error.to_string())?;
    if client.alpn_protocol() != Some(b"acme-tls/1") {
        return Err(format!("another protocol was chosen: {:?}", client.alpn_protocol()));
    }
    let chain = client.peer_certificates().unwrap_or_default();
    chain.first().map(|own| own.to_vec()).ok_or_else(|| "no certificate was shown".to_owned())
}
