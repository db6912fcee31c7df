//! An HTTP client for what the hub itself asks of others: one small request, one small answer, on a
//! connection of its own.
//!
//! What must hold: an answer is bounded in length and time, and comes from the very address that was
//! asked. No redirect is followed.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::{Scheme, Uri};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Asks, within these bounds.
#[derive(Clone)]
pub struct HttpClient {
    bounds: AnswerBounds,
    /// Without it, only clear text is spoken.
    tls: Option<TlsConnector>,
}

/// What an answer may be.
#[derive(Debug, Clone, Copy)]
pub struct AnswerBounds {
    /// The longest body, in bytes.
    pub bytes: usize,
    /// How long the whole of it may take.
    pub time: Duration,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Not in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// More than was asked for.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The URL names no host, or another scheme than this client speaks.
    #[error("{} is not an address that can be asked", .0.host().unwrap_or_default())]
    Address(Uri),
    /// The host cannot be in a certificate.
    #[error("its name cannot be in a certificate")]
    Name(#[from] InvalidDnsNameError),
    /// The other side cannot be reached.
    #[error("no connection: {0}")]
    Connection(#[from] io::Error),
    /// The exchange did not come to its end.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// The answer did not come to its end.
    #[error("the answer broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why nobody's certificate can be verified.
#[derive(Debug, thiserror::Error)]
pub enum NoTrust {
    /// This system trusts no certificate authority.
    #[error("this system trusts no certificate authority: {ADVICE}")]
    NoAuthority,
    /// Those that it trusts cannot be read.
    #[error("this system trusts no certificate authority ({0}): {ADVICE}")]
    Unreadable(#[source] rustls_native_certs::Error),
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// What to do where no authority is trusted.
const ADVICE: &str = "install ca-certificates, or name a PEM file in SSL_CERT_FILE";

impl HttpClient {
    /// Speaks TLS, and trusts the certificate authorities that this system trusts, or those in the
    /// file that `SSL_CERT_FILE` names.
    pub fn secure(bounds: AnswerBounds) -> Result<Self, NoTrust> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let cause = found.errors.into_iter().next();
            return Err(cause.map_or(NoTrust::NoAuthority, NoTrust::Unreadable));
        }
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { bounds, tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Speaks clear text only.
    pub fn clear_text(bounds: AnswerBounds) -> Self {
        Self { bounds, tls: None }
    }

    /// Sends a request for an absolute address.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, NoAnswer> {
        timeout(self.bounds.time, self.connect_and_exchange(request))
            .await
            .unwrap_or(Err(NoAnswer::Late(self.bounds.time)))
    }

    async fn connect_and_exchange(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if uri.scheme() == Some(&Scheme::HTTPS)
            && let Some(tls) = &self.tls
        {
            let socket = TcpStream::connect((&*host, uri.port_u16().unwrap_or(443))).await?;
            let stream = tls.connect(ServerName::try_from(host)?, socket).await?;
            self.exchange(stream, request).await
        } else if uri.scheme() == Some(&Scheme::HTTP) && self.tls.is_none() {
            let socket = TcpStream::connect((&*host, uri.port_u16().unwrap_or(80))).await?;
            self.exchange(socket, request).await
        } else {
            Err(NoAnswer::Address(uri.clone()))
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let unusable = NoAnswer::Address(request.uri().clone());
        let authority = request.uri().authority().map_or("", |authority| authority.as_str());
        let Ok(host) = HeaderValue::from_str(authority) else { return Err(unusable) };
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let Ok(target) = target.parse() else { return Err(unusable) };
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut exchange = pin!(async {
            let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, self.bounds.bytes).collect().await.map_err(|error| {
                match error.downcast_ref::<LengthLimitError>() {
                    Some(_) => NoAnswer::TooLong(self.bounds.bytes),
                    None => NoAnswer::Broken(error),
                }
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        });
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // However the connection ended, what came over it stays to be read.
            _ = connection => exchange.await,
        }
    }
}
