//! A publisher: one connection, kept alive.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::heard::Acknowledged;
use super::{Connection, Response};

/// Publishes over one connection.
#[derive(Debug)]
pub(crate) struct Publisher {
    connection: Connection,
    acknowledged: Option<Arc<Acknowledged>>,
    /// Where to publish.
    pub(crate) path: String,
}

impl Publisher {
    /// Over a new connection to this address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::over(Connection::open(address))
    }

    /// The same, taking note of what is acknowledged.
    pub(super) fn noting(address: SocketAddr, acknowledged: Option<Arc<Acknowledged>>) -> Self {
        Self { acknowledged, ..Self::new(address) }
    }

    /// Over a connection that is open already.
    pub(crate) fn over(connection: Connection) -> Self {
        Self { connection, acknowledged: None, path: "/sse/send".to_owned() }
    }

    /// Posts a body as it is.
    pub(crate) fn post(&mut self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Response {
        let response = self.connection.request("POST", &self.path, headers, body.as_ref());
        self.acknowledged.iter().for_each(|acknowledged| acknowledged.note(&response));
        response
    }

    /// Posts a body as JSON.
    pub(crate) fn post_json(&mut self, body: impl AsRef<[u8]>) -> Response {
        self.post(&[("Content-Type", "application/json")], body)
    }

    /// Publishes what must be accepted; returns the id.
    pub(crate) fn publish(&mut self, event: &Value) -> String {
        let response = self.post_json(event.to_string());
        let answer = response.json();
        assert_eq!((response.status, &answer["status"]), (200, &json!("message sent")), "{answer}");
        answer["id"].as_str().expect("the answer has an id").to_owned()
    }

    /// Publishes a message to the default topic.
    pub(crate) fn send(&mut self, message: &str) -> String {
        self.publish(&json!({ "message": message }))
    }

    /// Publishes a message to a topic.
    pub(crate) fn send_to(&mut self, topic: &str, message: &str) -> String {
        self.publish(&json!({ "topic": topic, "message": message }))
    }

    /// Publishes a batch that must be accepted; returns the ids.
    pub(crate) fn batch(&mut self, events: impl IntoIterator<Item = Value>) -> Vec<String> {
        let lines: Vec<_> = events.into_iter().map(|event| event.to_string()).collect();
        let response = self.post(&[("Content-Type", "application/x-ndjson")], lines.join("\n"));
        let answer = response.json();
        assert_eq!(
            (response.status, &answer["status"]),
            (200, &json!("messages sent")),
            "{answer}"
        );
        let ids = answer["ids"].as_array().expect("the answer has ids");
        assert_eq!(ids.len(), lines.len());
        ids.iter().map(|id| id.as_str().expect("an id is a string").to_owned()).collect()
    }

    /// Publishes the numbers of a range to a topic, in at least twenty batches, since a log may
    /// trim no less than a batch; returns the ids. Every node hears of each batch before the next,
    /// so that none falls behind what a test retains.
    pub(crate) fn count(&mut self, topic: &str, numbers: std::ops::Range<u64>) -> Vec<String> {
        let numbers: Vec<_> = numbers.collect();
        let batches = numbers.chunks((numbers.len() / 20).clamp(1, 500)).map(|numbers| {
            let event = |n: &u64| json!({ "topic": topic, "message": n.to_string() });
            let ids = self.batch(numbers.iter().map(event));
            self.acknowledged.iter().for_each(|acknowledged| acknowledged.reach_all());
            ids
        });
        batches.collect::<Vec<_>>().concat()
    }
}
