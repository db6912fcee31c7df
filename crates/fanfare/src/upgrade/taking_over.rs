//! Taking over: how the new process makes a hub of what it received, and goes on with it.
//!
//! What must hold: [`PreparedTakeover::prepare`] does nothing that others could see, so that the old process can go on
//! with everything if it fails. Only after the commitment, in [`PreparedTakeover::resume`], is anything written to a
//! stream; and then every stream is in its shard before the old process is told.

use std::collections::HashSet;
use std::sync::Arc;

use fanfare_delivery::{Delivery, Detached, Movable, Seat};
use fanfare_http::{
    AppState, Connections, LastUpgrade, MercureConfig, ParkedConnection, SubscriptionVocabulary,
};
use tokio::sync::oneshot;

use super::pause::attach_all;
use super::predecessor::Predecessor;
use super::progress::UpgradeProgress;
use super::received_state::{ReceivedState, ReceivedStateError};
use super::sections::STREAMS;

/// Everything that goes on here as soon as this process is the hub.
#[derive(Debug)]
pub(crate) struct PreparedTakeover {
    streams: Vec<Detached>,
    consoles: Vec<Detached>,
    parked: Vec<ParkedConnection>,
    /// By which the streams were let in.
    credentials: HashSet<Arc<str>>,
    progress: UpgradeProgress,
}

impl PreparedTakeover {
    /// Makes it of what was handed over. Nothing is written to any connection yet.
    pub(crate) fn prepare(
        mut received_state: ReceivedState,
        app: &AppState,
        connections: &Connections,
        mercure: Option<&MercureConfig>,
    ) -> Result<Self, ReceivedStateError> {
        let presence = mercure.and_then(|mercure| mercure.presence.as_ref());
        let vocabulary =
            SubscriptionVocabulary { mercure_url: mercure.map(|mercure| &mercure.hub) };
        let mut secrets = received_state.secrets()?;
        let retry = app.delivery.retry();
        let streams = received_state.streams(STREAMS[0], &vocabulary, retry, &mut secrets)?;
        let consoles = received_state.streams(STREAMS[1], &vocabulary, retry, &mut secrets)?;
        secrets.end()?;
        let listed = received_state.presence(presence, streams.len())?;
        let parked = received_state.parked()?;
        let progress = received_state.progress()?;
        received_state.end()?;
        let all = streams.iter().chain(&consoles);
        let grants = all.filter_map(|(subscription, _)| subscription.grant.as_ref());
        let credentials = grants.filter_map(|grant| grant.credential.clone()).collect();
        let take_in = |streams: Vec<_>, listed: Vec<Option<Seat>>, delivery: &Delivery| {
            let listed = listed.into_iter().chain(std::iter::repeat_with(|| None));
            let streams = streams.into_iter().zip(listed);
            let taken =
                streams.map(|((it, its), listed)| connections.take_in(it, its, listed, delivery));
            taken.collect()
        };
        let streams = take_in(streams, listed, &app.delivery);
        let consoles = take_in(consoles, Vec::new(), &app.console.delivery);
        Ok(Self { streams, consoles, parked, credentials, progress })
    }

    /// Goes on with everyone. This process is the hub.
    pub(crate) fn resume(self, app: &Arc<AppState>, connections: &Connections) -> Resumed {
        // Before anyone can look: no counter goes back.
        app.metrics.upgrades().done(self.progress.so_far());
        attach_all(&app.delivery, self.streams);
        attach_all(&app.console.delivery, self.consoles);
        self.parked.into_iter().for_each(|parked| connections.resume(parked));
        Resumed { credentials: self.credentials, progress: self.progress }
    }
}

/// What is left to do once everyone is served.
#[derive(Debug)]
pub(crate) struct Resumed {
    credentials: HashSet<Arc<str>>,
    progress: UpgradeProgress,
}

impl Resumed {
    /// Tells the old process that this one serves, and ends the streams whose credential is not accepted here.
    pub(crate) async fn report(self, old: &Predecessor, app: &AppState) {
        let after_micros = self.progress.so_far().pause_micros;
        tracing::debug!(after_micros, "everyone is let in");
        delivered(&app.delivery).await;
        let upgrade = self.progress.so_far();
        // Before the old process is told: the client that asked may look at the metrics as soon as that has ended.
        app.metrics.upgrades().done(upgrade);
        old.serving();
        let LastUpgrade { count, moved, closed, pause_micros } = upgrade;
        tracing::info!(upgrades = count, moved, closed, pause_micros, "took over");
        app.end_unknown(&self.credentials).await;
    }
}

/// Waits until every stream is in its shard.
async fn delivered(delivery: &Delivery) {
    let mut answers = Vec::new();
    for shard in 0..delivery.shards() {
        let (reply, answer) = oneshot::channel();
        // No stream is taken out; those that are to be attached come first.
        delivery.detach(shard, 0, Movable::ClearText, move |_| {
            // The receiver waits for it.
            let _ = reply.send(());
        });
        answers.push(answer);
    }
    for answer in answers {
        // A shard that has ended has no streams.
        let _ = answer.await;
    }
}
