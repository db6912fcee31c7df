//! A subscriber: stream after stream, resumed where the last one broke off.

use std::time::Duration;

use fanfare_sse::{Parsed, ParsedEvent};
use http::HeaderValue;
use tokio::time::{Instant, sleep_until};

use crate::backoff::Backoff;
use crate::event::{EnvelopeData, GAP};
use crate::stream::{EventStream, StreamEnd};
use crate::{Client, ReceivedEvent, ReceivedGap, RequestError, SubscribeOptions};

/// What the hub's own events begin with.
const RESERVED: &str = fanfare_event::EventType::RESERVED_PREFIX;
/// How long to wait before a reconnect until the hub has said otherwise, and how long at most.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(600);
/// How far the wait grows while the hub stays away.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// A subscriber that reconnects for ever.
#[derive(Debug)]
pub struct ResumingSubscriber {
    client: Client,
    subscription: SubscribeOptions,
    after: Option<HeaderValue>,
    state: SubscriberState,
    /// What the hub last asked for with `retry:`.
    retry: Duration,
    backoff: Backoff,
    /// Whether there has been a stream.
    was_connected: bool,
}

#[derive(Debug)]
enum SubscriberState {
    Waiting(Instant),
    Open(Box<EventStream>),
}

/// What a subscriber meets.
#[derive(Debug)]
pub enum Item {
    /// An event.
    Event(ReceivedEvent),
    /// Something is gone; what follows is after it.
    Gap(ReceivedGap),
    /// A stream was opened.
    Connected {
        /// Whether there was one before.
        again: bool,
        /// The id after which it was resumed. Where the hub has given none, it begins with what is
        /// published from now on: of what was published since the last stream nothing is known.
        after: Option<String>,
    },
    /// There is no stream; the next attempt is after this long.
    Disconnected {
        /// Why.
        reason: Disconnection,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum Disconnection {
    /// The one there was ended.
    #[error(transparent)]
    Ended(#[from] StreamEnd),
    /// None was opened.
    #[error(transparent)]
    NotOpened(#[from] RequestError),
}

/// Reconnecting cannot help.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The hub refuses the subscription, or there is no hub.
    #[error(transparent)]
    Refused(#[from] RequestError),
    /// An event cannot be read, and would be sent again.
    #[error("the event after {after} cannot be read: {reason}")]
    Unreadable {
        /// The id of the event before.
        after: String,
        /// Why.
        reason: String,
    },
}

impl Client {
    /// Subscribes. Nothing is asked before [`ResumingSubscriber::next`] is called.
    pub fn subscribe(&self, subscription: SubscribeOptions) -> ResumingSubscriber {
        ResumingSubscriber {
            client: self.clone(),
            after: subscription.after.clone(),
            subscription,
            state: SubscriberState::Waiting(Instant::now()),
            retry: FIRST_RETRY,
            backoff: Backoff::new(FIRST_RETRY, LONGEST_BACKOFF),
            was_connected: false,
        }
    }
}

impl ResumingSubscriber {
    /// What comes next. May be dropped and called again; nothing is lost by that.
    ///
    /// Fails where reconnecting cannot help, and where the hub cannot be reached at the first
    /// attempt, unless the subscription waits for it.
    pub async fn next(&mut self) -> Result<Item, SubscribeError> {
        loop {
            match &mut self.state {
                SubscriberState::Waiting(until) => {
                    sleep_until(*until).await;
                    return self.connect().await;
                }
                SubscriberState::Open(stream) => match stream.next().await {
                    Ok(parsed) => {
                        if let Some(item) = self.take(parsed)? {
                            return Ok(item);
                        }
                    }
                    Err(StreamEnd::TooLarge(error)) => return Err(self.unreadable(&error)),
                    Err(end) => return Ok(self.disconnected(end.into())),
                },
            }
        }
    }

    /// What has arrived already, without waiting.
    pub fn next_unread(&mut self) -> Result<Option<Item>, SubscribeError> {
        loop {
            let SubscriberState::Open(stream) = &mut self.state else { return Ok(None) };
            match stream.next_unread() {
                Ok(Some(parsed)) => {
                    if let Some(item) = self.take(parsed)? {
                        return Ok(Some(item));
                    }
                }
                // If it is an error, `next` meets it again.
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    async fn connect(&mut self) -> Result<Item, SubscribeError> {
        match self.client.open(&self.subscription, self.after.as_ref()).await {
            Ok(stream) => {
                self.state = SubscriberState::Open(Box::new(stream));
                self.backoff.succeeded();
                let after = self.after.as_ref().map(text);
                let again = std::mem::replace(&mut self.was_connected, true);
                Ok(Item::Connected { again, after })
            }
            Err(error) => {
                let hopeful = self.was_connected || self.subscription.wait_for_hub;
                if error.may_pass() && hopeful {
                    Ok(self.disconnected(error.into()))
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// Takes note of the end of a stream, or of the lack of one.
    fn disconnected(&mut self, reason: Disconnection) -> Item {
        let asked_for = match &reason {
            // The hub has spread its clients itself.
            Disconnection::Ended(_) => self.retry,
            Disconnection::NotOpened(error) => {
                let after = error.answer().and_then(|answer| answer.retry_after);
                self.retry.max(after.unwrap_or_default()).max(self.backoff.failed())
            }
        };
        let retry_in = asked_for.min(LONGEST_RETRY);
        self.state = SubscriberState::Waiting(Instant::now() + retry_in);
        Item::Disconnected { reason, retry_in }
    }

    fn take(&mut self, parsed: Parsed) -> Result<Option<Item>, SubscribeError> {
        let event = match parsed {
            Parsed::Event(event) => event,
            Parsed::Retry(milliseconds) => {
                self.retry = Duration::from_millis(milliseconds);
                return Ok(None);
            }
            Parsed::Comment(_) => return Ok(None),
        };
        let id = HeaderValue::from_str(&event.id).ok().filter(|id| !id.is_empty());
        let item = match event.event.as_deref() {
            Some(GAP) => Some(Item::Gap(ReceivedGap::read(event))),
            // Such as a fresh cursor: all that matters is its id.
            Some(own) if own.starts_with(RESERVED) => None,
            _ => Some(Item::Event(self.unwrap(event)?)),
        };
        if let Some(id) = id {
            self.after = Some(id);
        }
        Ok(item)
    }

    fn unwrap(&self, event: ParsedEvent) -> Result<ReceivedEvent, SubscribeError> {
        let ParsedEvent { id, event, data } = event;
        match (serde_json::from_str(&data), &self.subscription.topic) {
            (Ok(EnvelopeData { topic, event: sealed, published_at, message }), _) => {
                let published_at = Some(published_at);
                Ok(ReceivedEvent {
                    id,
                    event: event.or(sealed),
                    topic,
                    published_at,
                    data: message,
                })
            }
            // From a hub that knows no envelopes.
            (Err(_), Some(topic)) => {
                Ok(ReceivedEvent { id, event, topic: topic.clone(), published_at: None, data })
            }
            (Err(error), None) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, reason: &dyn std::error::Error) -> SubscribeError {
        let after = self.after.as_ref().map_or_else(|| "the beginning".to_owned(), text);
        SubscribeError::Unreadable { after, reason: reason.to_string() }
    }
}

fn text(id: &HeaderValue) -> String {
    String::from_utf8_lossy(id.as_bytes()).into_owned()
}
