//! Publishing, with retries that publish nothing twice.

use std::time::{Duration, Instant};

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName};
use serde::Deserialize;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::{Client, PublishBatch, RequestError};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A publish failed and is about to be tried again.
#[derive(Debug)]
pub struct RetryNotice<'a> {
    /// Why it failed.
    pub error: &'a RequestError,
    /// How often it has been tried.
    pub attempts: u32,
    /// When it is tried again.
    pub wait: Duration,
}

/// Nothing was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Repeating it cannot help. Nothing was published.
    #[error("{0}")]
    Refused(#[source] RequestError),
    /// It was repeated for as long as was allowed.
    #[error("{source} (attempts: {attempts}, in {after:.1?})")]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// For how long.
        after: Duration,
        /// Why the last attempt failed.
        source: RequestError,
        /// Whether any attempt may have been accepted without the answer arriving.
        outcome_is_unknown: bool,
    },
}

impl PublishError {
    /// Why the last attempt failed.
    pub fn request_error(&self) -> &RequestError {
        match self {
            Self::Refused(error) | Self::GaveUp { source: error, .. } => error,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PublishAnswer {
    Single { id: String },
    Batch { ids: Vec<String> },
}

impl Client {
    /// Publishes a batch, once. Returns the ids of its messages.
    pub async fn publish(&self, batch: &PublishBatch) -> Result<Vec<String>, RequestError> {
        let url = self.url().send();
        let request = self
            .request(Method::POST, &url)
            .header(CONTENT_TYPE, batch.content_type.clone())
            .header(IDEMPOTENCY_KEY, batch.key.header());
        let ids = match self.ask_json(&url, request, batch.body.clone()).await? {
            PublishAnswer::Single { id } => vec![id],
            PublishAnswer::Batch { ids } => ids,
        };
        if ids.len() == batch.messages {
            return Ok(ids);
        }
        let saw = format!("{} ids for {} messages", ids.len(), batch.messages);
        Err(RequestError::NotAHub { url, saw })
    }

    /// Publishes a batch, and repeats it under its key for up to `retry_for` while the hub cannot
    /// be reached or says that it cannot accept it now. `before_retry` is called before each wait.
    ///
    /// The key makes this safe for as long as the hub remembers it (`--idempotency-window`).
    pub async fn publish_with_retries(
        &self,
        batch: &PublishBatch,
        retry_for: Duration,
        mut before_retry: impl FnMut(&RetryNotice<'_>),
    ) -> Result<Vec<String>, PublishError> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut outcome_is_unknown = false;
        for attempts in 1.. {
            let error = match self.publish(batch).await {
                Ok(ids) => return Ok(ids),
                Err(error) if !error.may_pass() => return Err(PublishError::Refused(error)),
                Err(error) => error,
            };
            outcome_is_unknown |= error.outcome_is_unknown();
            let asked_for = error.answer().and_then(|answer| answer.retry_after);
            let wait = backoff.failed().max(asked_for.unwrap_or_default());
            let after = begun.elapsed();
            if after + wait > retry_for {
                let source = error;
                return Err(PublishError::GaveUp { attempts, after, source, outcome_is_unknown });
            }
            before_retry(&RetryNotice { error: &error, attempts, wait });
            sleep(wait).await;
        }
        unreachable!("attempts have no end of their own")
    }
}
