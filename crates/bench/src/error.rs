//! Why a run could not be made.

use std::io;
use std::net::SocketAddr;

use crate::plan::InvalidPlan;
use crate::response::BadResponse;
use crate::target::InvalidTarget;

/// Why a run could not be made. What a run found wrong with the messages is part of its
/// [`BenchReport`](crate::BenchReport) instead.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The plan asks for what cannot be done.
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    /// The URL is not one of a hub.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// The URL's host has no address.
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// Host and port, as in the URL.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {address}: {source}; is the server running?")]
    Connect {
        /// Where the connection went.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered something other than 200.
    #[error("the server refused {request} with `{status_line}` {body}")]
    Refused {
        /// Method and path.
        request: String,
        /// The first line of the answer.
        status_line: String,
        /// How the answer's body begins.
        body: String,
    },
    /// The server answered something that is not HTTP/1.1.
    #[error("cannot read the answer to {request}: {source}")]
    Response {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        source: BadResponse,
    },
    /// Subscribers wait for an answer and none comes.
    #[error(
        "{connected} of {wanted} subscribers are connected and no more answers came in {seconds} s"
    )]
    ConnectStalled {
        /// How many have their stream.
        connected: u32,
        /// How many the plan wants.
        wanted: u32,
        /// How long nothing happened.
        seconds: u64,
    },
    /// The server closed a subscriber's stream.
    #[error("the server closed the stream of subscriber {subscriber} after {messages} messages")]
    StreamEnded {
        /// Which one, counted from 0.
        subscriber: u32,
        /// What it had received by then.
        messages: u64,
    },
    /// A subscriber's connection broke.
    #[error("the stream of subscriber {subscriber} broke after {messages} messages: {source}")]
    StreamBroke {
        /// Which one, counted from 0.
        subscriber: u32,
        /// What it had received by then.
        messages: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A publisher's connection broke, or no answer came in time.
    #[error("publishing failed: {0}")]
    Publish(#[source] io::Error),
    /// The process of `--pid` cannot be observed.
    #[error("cannot observe process {pid}: {source}")]
    Process {
        /// Which process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// More sockets than this process may open.
    #[error("this takes {needed} open files and the limit is {limit}; raise it with `ulimit -n`")]
    OpenFiles {
        /// What the plan takes.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The system has no poller, thread or socket to give.
    #[error("{what}: {source}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl BenchError {
    /// For `map_err`: the system refused `what`.
    pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
