//! Taking over: the new process's part.

use std::collections::HashSet;
use std::sync::Arc;

use fanfare_delivery::Detached;
use fanfare_http::{AppState, Connections, LastUpgrade, MercureConfig, ParkedConnection, Words};

use super::cargo::{InheritanceError, UpgradeUnderWay, monotonic_micros};
use super::{Inheritance, Predecessor};

/// What goes on here as soon as this process is the hub.
#[derive(Debug)]
pub(crate) struct Successions {
    streams: Vec<Detached>,
    parked: Vec<ParkedConnection>,
    /// By which the streams were let in.
    credentials: HashSet<Arc<str>>,
    upgrade: UpgradeUnderWay,
}

impl Successions {
    /// Of what was handed over. Nothing is written to any connection yet.
    pub(crate) fn prepare(
        mut inheritance: Inheritance,
        connections: &Connections,
        mercure: Option<&MercureConfig>,
    ) -> Result<Self, InheritanceError> {
        let streams = inheritance.streams(&Words { mercure })?;
        let parked = inheritance.parked()?;
        let upgrade = inheritance.upgrade()?;
        inheritance.end()?;
        let grants = streams.iter().filter_map(|(subscription, _)| subscription.grant.as_ref());
        let credentials = grants.filter_map(|grant| grant.credential.clone()).collect();
        let take_in = |(subscription, socket)| connections.take_in(subscription, socket);
        let streams = streams.into_iter().map(take_in).collect();
        Ok(Self { streams, parked, credentials, upgrade })
    }

    /// Goes on with everyone. This process is the hub.
    pub(crate) fn resume(self, app: &Arc<AppState>, connections: &Connections) -> Resumed {
        for stream in self.streams {
            if app.delivery.attach(stream).is_some() {
                tracing::warn!("a stream could not be gone on with: delivery has ended");
            }
        }
        self.parked.into_iter().for_each(|parked| connections.resume(parked));
        Resumed { credentials: self.credentials, upgrade: self.upgrade }
    }
}

/// What is left to do once everyone is served.
#[derive(Debug)]
pub(crate) struct Resumed {
    credentials: HashSet<Arc<str>>,
    upgrade: UpgradeUnderWay,
}

impl Resumed {
    /// Tells the old process, and ends whom nothing lets in here.
    pub(crate) async fn report(self, old: &Predecessor, app: &AppState) {
        old.serving();
        let UpgradeUnderWay { count, moved, closed, began } = self.upgrade;
        let pause_micros = monotonic_micros().saturating_sub(began);
        app.metrics.upgrades().done(LastUpgrade { count, moved, closed, pause_micros });
        tracing::info!(upgrades = count, moved, closed, pause_micros, "took over");
        app.end_unknown(&self.credentials).await;
    }
}
