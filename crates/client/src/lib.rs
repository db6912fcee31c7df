//! A client of a hub: what the command line publishes and subscribes with.
//!
//! One direction: a [`HubUrl`] and a [`BearerToken`] make a [`Client`]; a client publishes a [`PublishBatch`],
//! or opens one [`EventStream`]; a [`ResumingSubscriber`] strings streams together.
//!
//! What must hold:
//!
//! - *Nothing twice*: every publish but lines that go on carries an idempotency key, and a retry repeats
//!   it with the same bytes.
//! - *Nothing lost in silence*: a subscriber resumes after the last id it was given, and what
//!   it may have missed is an item of its own.
//! - *Every wait ends*: connecting, an answer, a silent stream, a retry.

mod answer;
mod backoff;
mod batch;
mod client;
mod error;
mod event;
mod hub_url;
mod key;
mod lines;
mod outgoing_body;
mod publish;
mod readiness;
mod stream;
mod subscriber;
mod subscription;
mod token;

pub use answer::HubAnswer;
pub use backoff::Backoff;
pub use batch::{Message, PublishBatch};
pub use client::{Client, ClientError, Deadlines};
pub use error::RequestError;
pub use event::{ReceivedEvent, ReceivedGap};
pub use hub_url::{HubUrl, InvalidHubUrl};
pub use key::{InvalidRetryKey, RetryKey};
pub use lines::{LineAnswer, LineAnswers, LineSender, NoMoreLines};
pub use publish::{PublishError, RetryNotice};
pub use stream::{EventStream, StreamEnd};
pub use subscriber::{Disconnection, Item, ResumingSubscriber, SubscribeError};
pub use subscription::{InvalidSubscribeOptions, SubscribeOptions};
pub use token::{BearerToken, InvalidBearerToken};
