//! The cluster: what this node shares with the others on the same log, as HTTP needs it.
//!
//! A seam: the crate that knows the engine implements it. A node on an engine of its own has no cluster.

use std::error::Error;
use std::fmt;

use fanfare_auth::{Pending, TicketStore};
use fanfare_event::{Position, Timestamp};
use fanfare_shares::Amount;
use serde_json::{Value, json};

use crate::node::NodeId;

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
    fn members(&self) -> Vec<Member>;
}

/// What a node says of itself every few seconds, as JSON. Later versions may add members, and leave none of these out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Which node it is.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// Of its program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// How many streams it serves.
    pub subscribers: u64,
    /// The last event that it has received.
    pub heard: Position,
    /// How many events it knows of and has not received.
    pub lag: u64,
    /// Whether it is ready.
    pub ready: bool,
}

/// A node that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// It says this of itself.
    Known(NodeStatus),
    /// It is of a version that says something else.
    Unknown,
}

impl NodeStatus {
    /// The status as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "name": self.name,
            "version": self.version,
            "started": self.started.as_millis(),
            "subscribers": self.subscribers,
            "heard": self.heard.to_string(),
            "lag": self.lag,
            "ready": self.ready,
        })
    }

    fn from_json(status: &Value) -> Option<Self> {
        let text = |name: &str| status[name].as_str();
        let number = |name: &str| status[name].as_u64();
        Some(Self {
            id: text("id")?.parse().ok()?,
            name: text("name")?.to_owned(),
            version: text("version")?.to_owned(),
            started: Timestamp(number("started")?),
            subscribers: number("subscribers")?,
            heard: text("heard")?.parse().ok()?,
            lag: number("lag")?,
            ready: status["ready"].as_bool()?,
        })
    }
}

impl Member {
    /// The node that sent this line.
    pub fn from_line(line: &str) -> Self {
        let status = serde_json::from_str(line).ok();
        status.as_ref().and_then(NodeStatus::from_json).map_or(Self::Unknown, Self::Known)
    }

    /// What it says of itself, if that is understood here.
    pub fn status(&self) -> Option<&NodeStatus> {
        match self {
            Self::Known(status) => Some(status),
            Self::Unknown => None,
        }
    }

    /// Its status as JSON; null, if that is not understood here.
    pub(crate) fn to_json(&self) -> Value {
        self.status().map_or(Value::Null, NodeStatus::to_json)
    }
}

/// What the other nodes said to a question.
#[derive(Debug, Default)]
pub struct Answers {
    /// One for each node that answered in time.
    pub given: Vec<String>,
    /// How many did not.
    pub missing: usize,
}

/// Answers what other nodes ask of this one.
pub trait QuestionHandler: fmt::Debug + Send + Sync {
    /// The answer; `None` to what is not understood.
    fn answer(&self, question: String) -> Pending<'static, Option<String>>;
}

/// Why the other nodes could not be reached.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unreachable(#[from] Box<dyn Error + Send + Sync>);

impl Unreachable {
    /// For this reason.
    pub fn because(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first version writes it.
    const LINE: &str = concat!(
        r#"{"id":"00c0ffee","name":"one","version":"0.1.0","started":1700000000000,"#,
        r#""subscribers":3,"heard":"1700000000000123456-7","lag":2,"ready":true}"#,
    );

    #[test]
    fn a_nodes_line_is_read_and_written_as_the_first_version_does() {
        let member = Member::from_line(LINE);
        let status = member.status().unwrap();
        assert_eq!((&*status.name, status.id.to_string()), ("one", "00c0ffee".to_owned()));
        assert_eq!(status.to_json().to_string(), LINE);
    }

    #[test]
    fn a_line_that_is_not_understood_is_still_a_node() {
        let later = LINE.replace("\"lag\":2", "\"lag\":2,\"zone\":\"a\"");
        assert_eq!(Member::from_line(&later), Member::from_line(LINE), "more may be said");
        let other = LINE.replace("00c0ffee", "+0c0ffee");
        for line in ["", "null", "[1]", "{}", &LINE.replace("lag", "late"), &other] {
            assert_eq!(Member::from_line(line), Member::Unknown, "{line}");
            assert_eq!(Member::from_line(line).to_json(), Value::Null);
        }
    }
}
