//! What can go wrong between a node and Redis.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, ServerError};

/// Why Redis cannot serve as the event log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// No connection came about, or it broke while it was set up.
    #[error("redis at {node} cannot be reached: {source}")]
    Unreachable {
        /// Host and port.
        node: String,
        /// What the client saw.
        source: Arc<RedisError>,
    },
    /// The server took the connection and did not answer.
    #[error("redis at {node} did not answer within {} ms", within.as_millis())]
    Silent {
        /// Host and port.
        node: String,
        /// How long was waited.
        within: Duration,
    },
    /// The server answered with an error, or refused to sign the hub in.
    #[error("redis at {node} refused: {}", in_words(source))]
    Refused {
        /// Host and port.
        node: String,
        /// What the server answered.
        source: Arc<RedisError>,
    },
    /// The server's version lacks what the design needs (`XADD` with `<epoch>-*`).
    #[error("redis at {node} is version {found}, Fanfare needs 7.0 or newer: upgrade it")]
    TooOld {
        /// Host and port.
        node: String,
        /// What it calls itself.
        found: String,
    },
    /// The server would throw events or idempotency keys away when memory runs out.
    #[error(
        "redis at {node} may evict events without a word (maxmemory-policy {policy}): set \
         maxmemory-policy to noeviction"
    )]
    Evicts {
        /// Host and port.
        node: String,
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// No Sentinel could say where the master is.
    #[error("no sentinel could name the master {master:?}: {source}")]
    NoMaster {
        /// The master's name.
        master: String,
        /// Why the last one that was asked could not.
        source: Box<ConnectError>,
    },
    /// A Sentinel does not watch the master.
    #[error("sentinel {sentinel} does not know it")]
    UnknownMaster {
        /// Host and port of the Sentinel.
        sentinel: String,
    },
    /// No node of the cluster could say who owns the namespace's slot.
    #[error("no node of the cluster serves the namespace's slot: {source}")]
    NoOwner {
        /// Why the last one that was asked could not.
        source: Box<ConnectError>,
    },
    /// The URL or the certificate authority cannot be used.
    #[error("redis connections cannot be set up: {source}")]
    Setup {
        /// What the client said.
        source: Arc<RedisError>,
    },
    /// The server's answer is not one Redis gives.
    #[error("redis at {node} gave an unexpected answer: {what}")]
    Unexpected {
        /// Host and port.
        node: String,
        /// Which answer.
        what: &'static str,
    },
}

/// Why a request on an open connection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisRequestError {
    /// Whether it was executed is unknown.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// Whether it was executed is unknown.
    #[error("the connection broke: {0}")]
    Lost(#[source] RedisError),
    /// It was not executed.
    #[error("{}", words(.0))]
    Refused(ServerError),
    /// It was executed, by something that is not Redis as we know it.
    #[error("an unexpected answer: {0}")]
    Unexpected(&'static str),
}

/// Why there is no link to publish on, or none to receive events on.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LinkError {
    /// None could be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A request failed on the one there was.
    #[error(transparent)]
    Request(#[from] Arc<RedisRequestError>),
    /// The one there was is fenced in an epoch that is over.
    #[error("the tail has gone on to another server or epoch")]
    Overtaken,
}

impl From<RedisRequestError> for LinkError {
    fn from(error: RedisRequestError) -> Self {
        Self::Request(Arc::new(error))
    }
}

/// A server's error in its own words: code, then text.
pub(crate) fn words(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// The same where the client has seen the error; other errors in the client's words.
fn in_words(error: &RedisError) -> String {
    ServerError::try_from(error.clone())
        .map_or_else(|error| error.to_string(), |error| words(&error))
}

impl RedisRequestError {
    /// The same, while a connection to `node` was being opened.
    pub(crate) fn at(self, node: &str) -> ConnectError {
        let node = node.to_owned();
        match self {
            Self::Silent(within) => ConnectError::Silent { node, within },
            Self::Lost(source) => ConnectError::Unreachable { node, source: Arc::new(source) },
            Self::Refused(error) => ConnectError::Refused { node, source: Arc::new(error.into()) },
            Self::Unexpected(what) => ConnectError::Unexpected { node, what },
        }
    }
}
