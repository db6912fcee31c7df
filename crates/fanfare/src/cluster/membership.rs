//! Membership: which nodes are there, by the heartbeat that each sends every few seconds.
//!
//! What must hold: a node whose heartbeat is not understood is a member all the same.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fanfare_http::{AppState, Member, NodeId, NodeStatus};
use fanfare_redis::ClusterStore;
use tokio::time::interval;

/// How often a node says that it is there; a few times within [`ClusterStore::HEARTBEAT_TIMEOUT`].
const EVERY: Duration = Duration::from_secs(3);

/// The nodes as they were last heard, this one among them; `None` while nobody can be heard: not to know who is
/// there is not to know that nobody is.
#[derive(Debug, Default)]
pub(super) struct Membership(Mutex<Option<Vec<Member>>>);

/// Why the other nodes cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("it is not known which nodes there are")]
pub(super) struct NotHeard;

impl Membership {
    pub(super) fn members(&self) -> Option<Vec<Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of all nodes but this one; and how many nodes there are whose ids are not known, which cannot be asked.
    pub(super) fn others(&self, this: NodeId) -> Result<(Vec<NodeId>, usize), NotHeard> {
        let members = self.members().ok_or(NotHeard)?;
        let ids = members.iter().filter_map(|member| Some(member.status()?.id));
        let mut ids: Vec<_> = ids.collect();
        let unknown = members.len() - ids.len();
        ids.retain(|id| *id != this);
        Ok((ids, unknown))
    }

    /// Sends the heartbeats of this node, and notes those of the others, for ever.
    pub(super) async fn keep(&self, store: &ClusterStore, app: &AppState) {
        let mut ticks = interval(EVERY);
        let id = app.node.id.to_string();
        loop {
            ticks.tick().await;
            let line = status(app, store.lag()).to_json().to_string();
            let heard = store.heartbeat(&id, &line).await;
            if let Err(error) = &heard {
                tracing::debug!(%error, "the other nodes cannot be heard");
            }
            let members = heard.ok().map(|lines| {
                let mut members: Vec<_> =
                    lines.iter().map(|line| Member::from_line(line)).collect();
                members.sort_by_key(rank);
                members
            });
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = members;
        }
    }
}

/// What this node says of itself, so many events behind the log.
fn status(app: &AppState, lag: u64) -> NodeStatus {
    NodeStatus {
        id: app.node.id,
        name: app.node.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: app.node.started,
        subscribers: app.delivery.seats().taken() as u64,
        heard: app.hub.window().last(),
        lag,
        ready: app.hub.ready().is_ok(),
    }
}

/// By name, and by id where names are the same. Nodes that are not understood come last.
fn rank(member: &Member) -> (bool, String, Option<NodeId>) {
    match member {
        Member::Known(status) => (false, status.name.clone(), Some(status.id)),
        Member::Unknown => (true, String::new(), None),
    }
}
