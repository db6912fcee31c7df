//! One stream: an answered subscription, read until it ends.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use fanfare_sse::{EventTooLarge, Parsed, Parser};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::error::innermost;
use crate::{Client, RequestError, SubscribeOptions};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";
/// The most that is buffered for one event, in bytes: the largest message a hub can be set to
/// accept, in an envelope that escapes every byte of it as `\u0000`.
const LARGEST_EVENT: usize = 6 * 64 * 1024 * 1024 + 64 * 1024;

/// One stream. [`ResumingSubscriber`](crate::ResumingSubscriber) strings several together.
#[derive(Debug)]
pub struct EventStream {
    headers: HeaderMap,
    body: Incoming,
    parser: Parser,
    unread: Bytes,
    silence: Duration,
    heard: Instant,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamEnd {
    /// The hub, or something before it, closed it in order.
    #[error("the hub closed the stream")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {reason}")]
    Broken {
        /// The innermost reason.
        reason: String,
        /// The whole of it.
        source: hyper::Error,
    },
    /// Not even a keepalive came.
    #[error("nothing came for {seconds} s", seconds = .0.as_secs())]
    Silent(Duration),
    /// An event is larger than any that a hub accepts.
    #[error(transparent)]
    TooLarge(#[from] EventTooLarge),
}

impl Client {
    /// Opens one stream, after the event `after` where one is given.
    pub async fn open(
        &self,
        subscription: &SubscribeOptions,
        after: Option<&HeaderValue>,
    ) -> Result<EventStream, RequestError> {
        self.open_with(subscription, after, &HeaderMap::new()).await
    }

    /// As [`Client::open`], with further headers.
    pub async fn open_with(
        &self,
        subscription: &SubscribeOptions,
        after: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<EventStream, RequestError> {
        let url = format!("{}?{}", self.url().events(), subscription.query());
        let mut request = self
            .request(Method::GET, &url)
            .header(ACCEPT, EVENT_STREAM)
            .header(CACHE_CONTROL, "no-store");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(id) = after {
            request = request.header(LAST_EVENT_ID, id);
        }
        let url = self.url().events();
        let response =
            self.in_time(&url, self.ask(&url, request, Either::Left(Full::default()))).await?;
        let (head, body) = response.into_parts();
        let kind =
            head.headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
        if !kind.as_ref().is_some_and(|kind| is_event_stream(kind)) {
            let saw = format!("its content type is {}", kind.as_deref().unwrap_or("not given"));
            return Err(RequestError::NotAHub { url, saw });
        }
        Ok(EventStream {
            headers: head.headers,
            body,
            parser: Parser::new(LARGEST_EVENT),
            unread: Bytes::new(),
            silence: subscription.silence,
            heard: Instant::now(),
        })
    }
}

impl EventStream {
    /// The headers that came before it.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What comes next. May be dropped and called again; nothing is lost by that.
    ///
    /// Fails when the stream has ended, and when nothing came for as long as the subscription
    /// allows.
    pub async fn next(&mut self) -> Result<Parsed, StreamEnd> {
        loop {
            if let Some(parsed) = self.next_unread()? {
                return Ok(parsed);
            }
            let left = self.silence.saturating_sub(self.heard.elapsed());
            let frame = timeout(left, self.body.frame()).await;
            let frame = frame.map_err(|_| StreamEnd::Silent(self.silence))?;
            self.heard = Instant::now();
            match frame {
                Some(Ok(frame)) => self.unread = frame.into_data().unwrap_or_default(),
                None => return Err(StreamEnd::Closed),
                Some(Err(source)) => {
                    return Err(StreamEnd::Broken { reason: innermost(&source), source });
                }
            }
        }
    }

    /// What has arrived already and is complete.
    pub fn next_unread(&mut self) -> Result<Option<Parsed>, StreamEnd> {
        let mut input = &self.unread[..];
        let parsed = self.parser.next(&mut input);
        let used = self.unread.len() - input.len();
        self.unread.advance(used);
        Ok(parsed?)
    }

    /// What a client that reconnects now sends as `Last-Event-ID`; empty before any id.
    pub fn last_event_id(&self) -> &str {
        self.parser.last_event_id()
    }
}

fn is_event_stream(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(EVENT_STREAM))
}
