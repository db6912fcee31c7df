//! The cluster: what this node shares with the others on the same log, as HTTP needs it.
//!
//! A seam: whoever knows the engine implements it. A node on an engine of its own has no cluster.

use std::error::Error;
use std::fmt;

use fanfare_auth::{Pending, TicketStore};
use fanfare_shares::Amount;
use serde_json::Value;

/// The other nodes, as this one reaches them.
pub trait Cluster: fmt::Debug + Send + Sync {
    /// Tickets that are good once at any node, at most `capacity` of this node's at a time.
    fn tickets(&self, capacity: Amount) -> Box<dyn TicketStore>;

    /// Tells the other nodes that the streams of a subject are to end. To tell them twice does no harm.
    fn announce_cut<'a>(&'a self, subject: &'a str) -> Pending<'a, Result<(), Unreachable>>;

    /// Asks the other nodes something, and returns what those answer that are there, within a second or two.
    fn ask<'a>(&'a self, question: &'a str) -> Pending<'a, Result<Answers, Unreachable>>;

    /// The nodes that are there, this one among them, as each last said of itself; empty while they
    /// cannot be heard.
    fn members(&self) -> Vec<Value>;
}

/// What the other nodes said to a question.
#[derive(Debug, Default)]
pub struct Answers {
    /// One for each node that answered in time.
    pub given: Vec<String>,
    /// How many did not.
    pub missing: usize,
}

/// Whoever answers what other nodes ask of this one.
pub trait QuestionHandler: fmt::Debug + Send + Sync {
    /// The answer; `None` to what is not understood.
    fn answer(&self, question: String) -> Pending<'static, Option<String>>;
}

/// Why the other nodes could not be told, or asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unreachable(#[from] Box<dyn Error + Send + Sync>);

impl Unreachable {
    /// For this reason.
    pub fn because(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }
}
