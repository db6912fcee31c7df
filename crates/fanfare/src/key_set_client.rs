//! Fetches the key set for tokens: one small GET, over TLS unless it stays on this machine.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use fanfare_auth::{FetchError, FetchKeys, Jwks, Pending};
use fanfare_net::KeySetUrl;
use fanfare_tls::{AnswerBounds, HttpClient};
use http::header::ACCEPT;
use http::{Request, StatusCode};

/// How long the answer may be, and how long it may take.
const BOUNDS: AnswerBounds = AnswerBounds { bytes: Jwks::MAX_BYTES, time: Duration::from_secs(5) };

/// Fetches the key set of one URL, which only the operator chooses.
pub(crate) struct KeySetClient {
    url: KeySetUrl,
    client: HttpClient,
}

/// Why there was no key set in the answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer was {0}")]
struct NoKeySet(StatusCode);

impl KeySetClient {
    pub(crate) fn new(url: KeySetUrl) -> io::Result<Self> {
        let client = if url.is_https() {
            HttpClient::secure(BOUNDS).map_err(|error| {
                io::Error::other(format!("--jwks-url cannot be fetched: {error}"))
            })?
        } else {
            HttpClient::clear_text(BOUNDS)
        };
        Ok(Self { url, client })
    }

    async fn ask(&self) -> Result<Bytes, FetchError> {
        let request = Request::get(self.url.uri())
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Bytes::new())?;
        let answer = self.client.ask(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(NoKeySet(status).into()),
        }
    }
}

impl FetchKeys for KeySetClient {
    fn fetch(&self) -> Pending<'_, Result<Bytes, FetchError>> {
        Box::pin(self.ask())
    }
}
