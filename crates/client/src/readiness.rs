//! Whether the hub accepts publishes and subscribers.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::{Client, RequestError};

/// What a hub says that is ready; one that is not answers 503.
#[derive(Deserialize)]
struct ReadyAnswer {
    #[serde(rename = "status")]
    _status: String,
}

impl Client {
    /// Asks once. A hub that is not ready is [`RequestError::Busy`], and says why.
    pub async fn ready(&self) -> Result<(), RequestError> {
        let url = self.url().readyz();
        let request = self.request(Method::GET, &url);
        self.ask_json::<ReadyAnswer>(&url, request, Bytes::new()).await.map(drop)
    }
}
