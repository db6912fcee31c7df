//! A client of a hub: what the command line publishes and subscribes with.
//!
//! One direction: a [`HubUrl`] and a [`Token`] make a [`Client`]; a client publishes a [`Batch`],
//! or opens one [`EventStream`]; a [`Subscriber`] strings streams together.
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
mod publish;
mod readiness;
mod stream;
mod subscriber;
mod subscription;
mod token;

pub use answer::Answer;
pub use backoff::Backoff;
pub use batch::{Batch, Message};
pub use client::{Client, ClientError, Deadlines};
pub use error::RequestError;
pub use event::{Event, Gap};
pub use hub_url::{HubUrl, InvalidHubUrl};
pub use key::{InvalidKey, Key};
pub use lines::{LineAnswer, LineAnswers, LineSender, NoMoreLines};
pub use publish::{PublishError, Retry};
pub use stream::{EventStream, StreamEnd};
pub use subscriber::{Disconnection, Item, SubscribeError, Subscriber};
pub use subscription::{InvalidSubscription, Subscription};
pub use token::{InvalidToken, Token};
