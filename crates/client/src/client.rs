//! The client: one hub, one token, a pool of connections.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::outgoing_body::OutgoingBody;
use crate::{BearerToken, HubAnswer, HubUrl, RequestError};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("fanfare/", env!("CARGO_PKG_VERSION")));
/// How much of an answer is read, in bytes. The largest is the list of ids of a batch.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;
/// When a connection on which nothing comes is first asked whether the other end is still there,
/// how often then, and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// A client of one hub. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, OutgoingBody>,
    url: HubUrl,
    token: Option<BearerToken>,
    deadlines: Deadlines,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection.
    pub connect: Duration,
    /// For an answer to a request that is complete; with a stream, for its head.
    pub answer: Duration,
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The system's certificate authorities cannot be read, so no host could prove itself.
    #[error(
        "no certificate authorities can be read: {0}; install ca-certificates, or name a file of \
         them in SSL_CERT_FILE"
    )]
    Authorities(#[source] io::Error),
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(15) }
    }
}

impl Client {
    /// A client of the hub at `url`. For `https` the system's certificate authorities are read, or
    /// those in `SSL_CERT_FILE`. Nothing is connected yet.
    pub fn new(
        url: HubUrl,
        token: Option<BearerToken>,
        deadlines: Deadlines,
    ) -> Result<Self, ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(deadlines.connect));
        tcp.set_keepalive(Some(KEEPALIVE.0));
        tcp.set_keepalive_interval(Some(KEEPALIVE.1));
        tcp.set_keepalive_retries(Some(KEEPALIVE.2));
        let https = HttpsConnectorBuilder::new();
        let https = if url.is_encrypted() {
            https
                .with_provider_and_native_roots(aws_lc_rs::default_provider())
                .map_err(ClientError::Authorities)?
        } else {
            https.with_tls_config(trusting_nobody()?)
        };
        let connector = https.https_or_http().enable_http1().wrap_connector(tcp);
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { http, url, token, deadlines })
    }

    /// The hub.
    pub fn url(&self) -> &HubUrl {
        &self.url
    }

    /// A request that is yet to be completed.
    pub(crate) fn request(&self, method: Method, url: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(url).header(USER_AGENT, AGENT);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        request
    }

    /// Sends a request and waits for the head of its answer, which must be 200.
    pub(crate) async fn ask(
        &self,
        url: &str,
        request: http::request::Builder,
        body: OutgoingBody,
    ) -> Result<Response<Incoming>, RequestError> {
        let request = request.body(body).map_err(|error| RequestError::NotAHub {
            url: url.to_owned(),
            saw: error.to_string(),
        })?;
        let response = self.http.request(request).await;
        let response = response.map_err(|error| RequestError::from_http(url, error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        // Whatever can be had of the reason.
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(RequestError::from_answer(url, HubAnswer::new(head.status, &head.headers, &body)))
    }

    /// Sends a request and waits for its whole answer, which must be JSON.
    pub(crate) async fn ask_json<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<T, RequestError> {
        let whole = async {
            let response = self.ask(url, request, Either::Left(body.into())).await?;
            let content_type = response.headers().get(CONTENT_TYPE).cloned();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => RequestError::from_body(url, *error),
                Err(error) => RequestError::NotAHub { url: url.to_owned(), saw: error.to_string() },
            })?;
            serde_json::from_slice(&body.to_bytes()).map_err(|error| RequestError::NotAHub {
                url: url.to_owned(),
                saw: match content_type {
                    Some(kind) => format!("{} ({error})", String::from_utf8_lossy(kind.as_bytes())),
                    None => error.to_string(),
                },
            })
        };
        self.in_time(url, whole).await
    }

    /// Bounds a wait for an answer.
    pub(crate) async fn in_time<T>(
        &self,
        url: &str,
        answer: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let after = self.deadlines.answer;
        let silent = || RequestError::Silent { url: url.to_owned(), after };
        timeout(after, answer).await.unwrap_or_else(|_| Err(silent()))
    }
}

/// Without authorities no host can prove itself; this is for a hub without encryption, where none
/// has to.
fn trusting_nobody() -> Result<ClientConfig, ClientError> {
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Authorities(io::Error::other(error)))?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
