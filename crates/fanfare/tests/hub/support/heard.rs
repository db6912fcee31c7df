//! What publishers of a hub were told was accepted, and whether a node has heard of it.
//!
//! A node on a shared log hears of a publish by way of that log, perhaps a moment after its
//! acknowledgement. Who subscribes without an id hears of what reaches the node from then on; a
//! test that expects only what is published later waits for the node first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use serde_json::Value;

use super::{Connection, Metrics, Response, TEST_TIMEOUT};

/// The last position that was acknowledged, and the nodes that are to hear of it.
#[derive(Debug)]
pub(super) struct Acknowledged {
    nodes: Vec<SocketAddr>,
    last: Mutex<Option<Position>>,
}

/// Epoch and number.
pub(super) type Position = (u64, u64);

impl Acknowledged {
    /// Nothing yet, of a hub with these nodes.
    pub(super) fn new(nodes: impl IntoIterator<Item = SocketAddr>) -> Arc<Self> {
        Arc::new(Self { nodes: nodes.into_iter().collect(), last: Mutex::default() })
    }

    /// Takes note of an answer to a publish.
    pub(super) fn note(&self, answer: &Response) {
        if answer.status != 200 {
            return;
        }
        let mut last = self.last.lock().unwrap();
        if answer.header("content-type") != Some("application/json") {
            // In Mercure's protocol: an id, which is a position unless the publisher chose it.
            *last = (*last).max(answer.text().strip_prefix('#').and_then(position));
            return;
        }
        let answer: Value = serde_json::from_slice(&answer.body).expect("the answer is JSON");
        let id = answer["ids"].as_array().and_then(|ids| ids.last()).unwrap_or(&answer["id"]);
        *last = (*last).max(id.as_str().and_then(position));
    }

    /// Waits until every node has heard of everything acknowledged so far.
    pub(super) fn reach_all(&self) {
        self.nodes.iter().for_each(|node| self.reach(*node, None));
    }

    /// Waits until the node at this address has heard of everything acknowledged so far.
    pub(super) fn reach(&self, node: SocketAddr, trust: Option<&Arc<ClientConfig>>) {
        let Some(last) = *self.last.lock().unwrap() else { return };
        let begun = Instant::now();
        loop {
            let mut connection = match trust {
                Some(trust) => Connection::open_secure(node, trust),
                None => Connection::open(node),
            };
            let answer = connection.request("GET", "/metrics", &[("Connection", "close")], b"");
            let metrics = Metrics::parse(&answer.text());
            let at = ["fanfare_last_epoch", "fanfare_last_seq"].map(|name| metrics.exact(name));
            if (at[0], at[1]) >= last {
                return;
            }
            assert!(
                begun.elapsed() < TEST_TIMEOUT,
                "{node} is at {at:?} and does not reach {last:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether a client that presents this resumes from an event it has received.
pub(super) fn is_id(cursor: &str) -> bool {
    position(cursor).is_some()
}

pub(super) fn position(id: &str) -> Option<Position> {
    let (epoch, seq) = id.split_once('-')?;
    Some((epoch.parse().ok()?, seq.parse().ok()?))
}
