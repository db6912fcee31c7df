//! Whether the log can accept and deliver events now, and if not, why.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_event::Position;
use fanfare_log::Unready;
use tokio::time::Instant;

/// What publisher and tail report, and readiness is read from.
pub(crate) struct Health {
    state: Mutex<HealthState>,
    echo_deadline: Duration,
}

#[derive(Default)]
struct HealthState {
    /// Why there is no connection to publish on.
    publish_down: Option<String>,
    /// Why there is no connection to hear events on.
    tail_down: Option<String>,
    /// Redis answers, and refuses to write.
    refusing: Option<String>,
    /// The oldest acknowledged position that the tail has not brought back, and since when.
    awaited: Option<(Position, Instant)>,
    /// The last position the tail brought.
    heard: Option<Position>,
}

impl Health {
    pub(crate) fn new(echo_deadline: Duration) -> Self {
        Self { state: Mutex::default(), echo_deadline }
    }

    pub(crate) fn publish_up(&self) {
        self.lock().publish_down = None;
    }

    pub(crate) fn publish_down(&self, reason: String) {
        self.lock().publish_down = Some(reason);
    }

    pub(crate) fn tail_up(&self) {
        self.lock().tail_down = None;
    }

    pub(crate) fn tail_down(&self, reason: String) {
        self.lock().tail_down = Some(reason);
    }

    pub(crate) fn is_tail_down(&self) -> Option<String> {
        self.lock().tail_down.clone()
    }

    /// Redis takes writes, or refuses them for a reason.
    pub(crate) fn refusing(&self, reason: Option<String>) {
        self.lock().refusing = reason;
    }

    /// This node published up to here and expects to hear of it.
    pub(crate) fn published(&self, through: Position) {
        let mut state = self.lock();
        if state.awaited.is_none() && Some(through) > state.heard {
            state.awaited = Some((through, Instant::now()));
        }
    }

    /// The tail brought everything up to here.
    pub(crate) fn heard(&self, through: Position) {
        let mut state = self.lock();
        state.heard = Some(through);
        if state.awaited.is_some_and(|(awaited, _)| awaited <= through) {
            state.awaited = None;
        }
    }

    pub(crate) fn ready(&self) -> Result<(), Unready> {
        let state = self.lock();
        let unready = |reason| Err(Unready { reason });
        if let Some(reason) = &state.publish_down {
            return unready(format!("no connection to publish on: {reason}"));
        }
        if let Some(reason) = &state.tail_down {
            return unready(format!("no connection to hear events on: {reason}"));
        }
        if let Some(reason) = &state.refusing {
            return unready(format!("redis refuses writes: {reason}"));
        }
        match state.awaited {
            Some((position, since)) if since.elapsed() > self.echo_deadline => unready(format!(
                "event {position}, published {} ms ago, has not come back",
                since.elapsed().as_millis()
            )),
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
        health.heard(Position::new(1, 4));
        health.published(Position::new(1, 4));
        assert_eq!(health.ready(), Ok(()), "heard before it was acknowledged");
        health.published(Position::new(1, 5));
        health.published(Position::new(1, 9));
        std::thread::yield_now();
        assert!(health.ready().unwrap_err().reason.contains("1-5"));
        health.heard(Position::new(1, 5));
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn every_reason_is_said_and_withdrawn() {
        let health = Health::new(Duration::from_secs(1));
        health.publish_down("a".to_owned());
        assert!(health.ready().is_err());
        health.publish_up();
        health.tail_down("b".to_owned());
        assert!(health.ready().unwrap_err().reason.ends_with('b'));
        health.tail_up();
        health.refusing(Some("OOM".to_owned()));
        assert!(health.ready().unwrap_err().reason.ends_with("OOM"));
        health.refusing(None);
        assert_eq!(health.ready(), Ok(()));
    }
}
