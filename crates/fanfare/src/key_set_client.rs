//! Fetches the key set for tokens: one small GET, over TLS unless it stays on this machine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, CONNECTION, HOST};
use axum::http::{Request, StatusCode};
use fanfare_auth::{FetchError, FetchKeys, Jwks, Pending};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::settings::KeySetUrl;

/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks one address for its key set. Follows no redirect: where keys come from is the operator's
/// word.
pub(crate) struct KeySetClient {
    url: KeySetUrl,
    connector: TlsConnector,
}

/// Why there was no key set in the answer.
#[derive(Debug, thiserror::Error)]
enum NoKeySet {
    #[error("no answer within {PATIENCE:?}")]
    TimedOut,
    #[error("the answer was {0}")]
    Status(StatusCode),
}

impl KeySetClient {
    /// Trusts the certificate authorities that this system trusts.
    pub(crate) fn new(url: KeySetUrl) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        if url.is_https() {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let message =
                    "this system trusts no certificate authority, so --jwks-url cannot be fetched";
                return Err(io::Error::other(message));
            }
        }
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { url, connector: TlsConnector::from(Arc::new(tls)) })
    }

    async fn ask(&self) -> Result<Bytes, FetchError> {
        let (host, port) = self.url.host_and_port();
        let socket = TcpStream::connect((host, port)).await?;
        if self.url.is_https() {
            let name = ServerName::try_from(host.to_owned())?;
            self.get(self.connector.connect(name, socket).await?).await
        } else {
            self.get(socket).await
        }
    }

    async fn get(
        &self,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Bytes, FetchError> {
        let uri = self.url.uri();
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::get(target)
            .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(NoKeySet::Status(answer.status()).into());
        }
        let body = Limited::new(answer.into_body(), Jwks::MAX_BYTES).collect().await?.to_bytes();
        driver.abort();
        Ok(body)
    }
}

impl FetchKeys for KeySetClient {
    fn fetch(&self) -> Pending<'_, Result<Bytes, FetchError>> {
        Box::pin(async {
            timeout(PATIENCE, self.ask()).await.unwrap_or_else(|_| Err(NoKeySet::TimedOut.into()))
        })
    }
}
