//! How the ACME client reaches its authority: with the hub's own HTTP client, and its bounds.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error};

use crate::{AnswerBounds, HttpClient};

/// What one answer of an authority may be.
pub(super) const BOUNDS: AnswerBounds =
    AnswerBounds { bytes: 1 << 20, time: Duration::from_secs(20) };

#[derive(Clone)]
pub(super) struct AuthorityClient(pub(super) HttpClient);

/// An answer that is none of the authority's own, such as that of a proxy before it.
#[derive(Debug, thiserror::Error)]
#[error("the authority answered {0}")]
struct Unexplained(StatusCode);

impl instant_acme::HttpClient for AuthorityClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let answer = client.ask(Request::from_parts(head, body)).await;
            let answer = answer.map_err(|error| Error::Other(error.into()))?;
            let explained = answer
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
            if !answer.status().is_success() && !explained {
                return Err(Error::Other(Unexplained(answer.status()).into()));
            }
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}
