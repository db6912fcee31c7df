//! What a run is to do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::payload::BenchMessage;
use crate::requests::Requests;
use crate::target::Target;

/// What a run is to do. [`run`](crate::run()) checks it before anything is connected.
#[derive(Debug, Clone, Serialize)]
pub struct BenchPlan {
    /// The hub's page.
    pub url: Target,
    /// Where to publish, if at another node of the same hub.
    pub publish_url: Option<Target>,
    /// What to show the hub, where it asks.
    #[serde(skip)]
    pub authorization: Option<Authorization>,
    /// How many connections subscribe; at least 1.
    pub subscribers: u32,
    /// The protocol in which they subscribe and publish. In Mercure's, whoever publishes without an authorization
    /// shows the token of hubs for development.
    pub dialect: Protocol,
    /// What is published once they are connected.
    pub load: Load,
    /// The size of a message, in bytes, 43 to 1 MiB.
    pub size: usize,
    /// How many topics are published to in turn. One is the default topic; several are `bench/0`,
    /// `bench/1` and so on, spread evenly over the subscribers.
    pub topics: u32,
    /// How often at most a subscriber asks to be written to, in milliseconds; `None` is for each message.
    pub interval: Option<u16>,
    /// How many connections publish, 1 to 256, each from a thread of its own.
    pub publishers: u32,
    /// How many messages one request carries; more than one are sent as NDJSON.
    pub batch: usize,
    /// Whether each publisher sends all its messages in one request that goes on, `batch` at a time.
    pub publish_stream: bool,
    /// How long messages are published before anything is measured.
    pub warmup: Duration,
    /// How long is measured; idle: how long the subscribers are held.
    pub duration: Duration,
    /// How many of the subscribers read nothing while messages are published, and then all.
    pub slow: u32,
    /// How the hub is asked, where it is not asked as Fanfare is. Streams that such a hub closes are
    /// counted, and the run goes on.
    #[serde(skip)]
    pub requests: Option<Arc<Requests>>,
    /// The server's process, if it is local and its CPU time and memory are wanted.
    pub pid: Option<u32>,
}

/// A protocol in which a hub is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The hub's own.
    #[default]
    Native,
    /// Mercure's, at a hub that speaks it.
    Mercure,
}

/// The value of an `Authorization` header. It is sent, and never shown.
#[derive(Clone)]
pub struct Authorization(String);

impl Authorization {
    /// `value` must be one that a header may have.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The line of a request's head.
    pub(crate) fn line(&self) -> String {
        format!("authorization: {}\r\n", self.0)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(..)")
    }
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Nothing: connections are held.
    Idle,
    /// Evenly, at a rate that does not depend on the server. Latency counts from when a message
    /// was due.
    Paced {
        /// Messages a second.
        rate: f64,
    },
    /// As fast as the server takes it. Latency counts from when a message was sent.
    Unpaced {
        /// How many messages may be on their way: publishers wait while the average subscriber is
        /// further behind. 0 sets no bound, and then a hub may drop what nobody has read yet.
        in_flight: u64,
    },
}

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidPlan {
    /// There is nobody to deliver to.
    #[error("there must be 1 to 1,000,000 subscribers, not {0}")]
    Subscribers(u32),
    /// The rate is not a rate.
    #[error("a rate is a number of messages a second above 0, not {0}")]
    Rate(f64),
    /// A message that cannot hold its number, or that no hub takes.
    #[error("a message has {min} to {max} bytes, not {0}", min = BenchMessage::MIN_BYTES, max = BenchPlan::MAX_SIZE)]
    Size(usize),
    /// More topics than can be numbered, or none.
    #[error("there must be 1 to {max} topics, not {0}", max = BenchMessage::MAX_TOPICS)]
    Topics(u32),
    /// A subscription would name more topics than a hub allows.
    #[error(
        "{topics} topics on {subscribers} subscribers are more than {} each: ask for at least {} \
         subscribers", BenchPlan::MAX_TOPICS_EACH, topics.div_ceil(BenchPlan::MAX_TOPICS_EACH))]
    TopicsEach {
        /// Topics in all.
        topics: u32,
        /// Subscribers that share them.
        subscribers: u32,
    },
    /// No publisher, or more than a message can tell apart.
    #[error("there must be 1 to 256 publishers, not {0}")]
    Publishers(u32),
    /// No message in a request, or too many.
    #[error("a request carries 1 to {max} messages, not {0}", max = BenchPlan::MAX_BATCH)]
    Batch(usize),
    /// One stream is asked for one topic.
    #[error("with requests of its own, a subscriber has one topic: {topics} topics need as many")]
    TopicPerRequest {
        /// Topics in all.
        topics: u32,
    },
    /// Nobody is left who reads.
    #[error("of {subscribers} subscribers, {slow} cannot be slow")]
    Slow {
        /// How many were to be slow.
        slow: u32,
        /// Of so many.
        subscribers: u32,
    },
    /// Several messages in a request, in a protocol that has none of these.
    #[error("in Mercure's protocol, each request carries one message")]
    OneByOne,
    /// A run without an end, or without a beginning.
    #[error("a run lasts more than 0 s and at most a day")]
    Duration,
}

impl BenchPlan {
    /// Where to publish.
    pub(crate) fn publish_target(&self) -> &Target {
        self.publish_url.as_ref().unwrap_or(&self.url)
    }

    /// The line of a request's head that shows what the hub asks for; empty where it asks nothing.
    pub(crate) fn authorization_line(&self) -> String {
        self.authorization.as_ref().map(Authorization::line).unwrap_or_default()
    }

    /// The largest message, in bytes.
    pub const MAX_SIZE: usize = 1 << 20;
    /// The most topics one subscription may name.
    pub const MAX_TOPICS_EACH: u32 = 256;
    /// The most messages in one request.
    pub const MAX_BATCH: usize = 10_000;

    const MAX_SUBSCRIBERS: u32 = 1_000_000;
    const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

    /// Checks everything that can be checked without the server.
    pub(crate) fn check(&self) -> Result<(), InvalidPlan> {
        let &Self { subscribers, size, topics, publishers, batch, .. } = self;
        if !(1..=Self::MAX_SUBSCRIBERS).contains(&subscribers) {
            return Err(InvalidPlan::Subscribers(subscribers));
        }
        if let Load::Paced { rate } = self.load
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(InvalidPlan::Rate(rate));
        }
        if !(BenchMessage::MIN_BYTES..=Self::MAX_SIZE).contains(&size) {
            return Err(InvalidPlan::Size(size));
        }
        if !(1..=BenchMessage::MAX_TOPICS).contains(&topics) {
            return Err(InvalidPlan::Topics(topics));
        }
        if topics.div_ceil(subscribers) > Self::MAX_TOPICS_EACH {
            return Err(InvalidPlan::TopicsEach { topics, subscribers });
        }
        if self.requests.is_some() && topics > subscribers {
            return Err(InvalidPlan::TopicPerRequest { topics });
        }
        if self.slow >= subscribers {
            return Err(InvalidPlan::Slow { slow: self.slow, subscribers });
        }
        if !(1..=256).contains(&publishers) {
            return Err(InvalidPlan::Publishers(publishers));
        }
        if !(1..=Self::MAX_BATCH).contains(&batch) {
            return Err(InvalidPlan::Batch(batch));
        }
        if self.dialect == Protocol::Mercure && (batch > 1 || self.publish_stream) {
            return Err(InvalidPlan::OneByOne);
        }
        let sensible = |duration| duration <= Self::MAX_DURATION;
        if self.duration.is_zero() || !sensible(self.duration) || !sensible(self.warmup) {
            return Err(InvalidPlan::Duration);
        }
        Ok(())
    }
}
