//! Whether the log can accept and deliver events now, and if not, why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_event::Position;
use tokio::time::Instant;

use crate::error::{LinkError, RedisRequestError};

/// What publisher and tail report, and readiness is read from.
pub(crate) struct Health {
    state: Mutex<HealthState>,
    echo_deadline: Duration,
}

#[derive(Default)]
struct HealthState {
    /// Why there is no connection to publish on.
    publish_down: Option<LinkError>,
    /// Why there is no connection to receive events on.
    tail_down: Option<LinkError>,
    /// Redis answers, and refuses to write.
    refusing: Option<Arc<RedisRequestError>>,
    /// The oldest acknowledged position that the tail has not brought back, and since when.
    awaited: Option<(Position, Instant)>,
    /// The last position the tail brought.
    received: Option<Position>,
}

/// Why the log cannot accept or deliver events now.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Outage {
    /// Nothing can be published.
    #[error("no connection to publish on: {0}")]
    Publish(#[source] LinkError),
    /// Nothing can be received.
    #[error("no connection to receive events on: {0}")]
    Tail(#[source] LinkError),
    /// Redis answers, and does not write.
    #[error("redis refuses writes: {0}")]
    WritesRefused(#[source] Arc<RedisRequestError>),
    /// What was published does not come back on the tail's connection.
    #[error("event {position}, published {} ms ago, has not come back", ago.as_millis())]
    NoEcho { position: Position, ago: Duration },
}

impl Health {
    pub(crate) fn new(echo_deadline: Duration) -> Self {
        Self { state: Mutex::default(), echo_deadline }
    }

    pub(crate) fn publish_up(&self) {
        self.lock().publish_down = None;
    }

    pub(crate) fn publish_down(&self, error: LinkError) {
        self.lock().publish_down = Some(error);
    }

    pub(crate) fn tail_up(&self) {
        self.lock().tail_down = None;
    }

    pub(crate) fn tail_down(&self, error: LinkError) {
        self.lock().tail_down = Some(error);
    }

    /// Why there is no connection to receive events on; `None` while there is one.
    pub(crate) fn tail_error(&self) -> Option<LinkError> {
        self.lock().tail_down.clone()
    }

    /// Redis accepts writes, or has refused one with this error.
    pub(crate) fn refusing(&self, error: Option<Arc<RedisRequestError>>) {
        self.lock().refusing = error;
    }

    /// This node published up to here and expects the tail to bring it back.
    pub(crate) fn published(&self, through: Position) {
        let mut state = self.lock();
        if state.awaited.is_none() && Some(through) > state.received {
            state.awaited = Some((through, Instant::now()));
        }
    }

    /// The tail brought everything up to here.
    pub(crate) fn received(&self, through: Position) {
        let mut state = self.lock();
        state.received = Some(through);
        if state.awaited.is_some_and(|(awaited, _)| awaited <= through) {
            state.awaited = None;
        }
    }

    pub(crate) fn ready(&self) -> Result<(), Outage> {
        let state = self.lock();
        if let Some(error) = &state.publish_down {
            return Err(Outage::Publish(error.clone()));
        }
        if let Some(error) = &state.tail_down {
            return Err(Outage::Tail(error.clone()));
        }
        if let Some(error) = &state.refusing {
            return Err(Outage::WritesRefused(Arc::clone(error)));
        }
        match state.awaited.map(|(position, since)| (position, since.elapsed())) {
            Some((position, ago)) if ago > self.echo_deadline => {
                Err(Outage::NoEcho { position, ago })
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_does_not_come_back_makes_the_node_unready() {
        let health = Health::new(Duration::ZERO);
        let awaited = Position::new(1, 5);
        health.received(Position::new(1, 4));
        health.published(Position::new(1, 4));
        assert!(health.ready().is_ok(), "received before it was acknowledged");
        health.published(awaited);
        health.published(Position::new(1, 9));
        std::thread::yield_now();
        let outage = health.ready().unwrap_err();
        assert!(matches!(outage, Outage::NoEcho { position, .. } if position == awaited));
        health.received(awaited);
        assert!(health.ready().is_ok());
    }

    #[test]
    fn every_outage_is_reported_and_withdrawn() {
        let health = Health::new(Duration::from_secs(1));
        health.publish_down(LinkError::Overtaken);
        assert!(matches!(health.ready(), Err(Outage::Publish(LinkError::Overtaken))));
        health.publish_up();
        health.tail_down(RedisRequestError::Unexpected("XREAD").into());
        assert!(matches!(health.ready(), Err(Outage::Tail(LinkError::Request(_)))));
        assert!(health.tail_error().is_some());
        health.tail_up();
        assert!(health.tail_error().is_none());
        health.refusing(Some(Arc::new(RedisRequestError::Unexpected("EVALSHA"))));
        assert!(matches!(health.ready(), Err(Outage::WritesRefused(_))));
        health.refusing(None);
        assert!(health.ready().is_ok());
    }
}
