//! What the log says of requests that a setting would let in: each refusal once, with the cure.
//!
//! What must hold: nobody can fill the log, or memory, by being refused.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::refusal::Refusal;

/// The most refusals that are told apart; any more are counted only, as all are.
const TOLD: usize = 32;

/// The refusals that the log has told of, each with what would let the request in.
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<HashSet<String>>);

impl Hints {
    /// Tells of a refusal that it has not told of yet.
    pub(super) fn tell(&self, refusal: &Refusal) {
        let said = refusal.to_string();
        let is_new = {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.len() < TOLD && told.insert(said.clone())
        };
        if is_new {
            tracing::warn!("a request was refused: {said}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_net::Origin;

    #[test]
    fn whoever_is_refused_fills_memory() {
        let hints = Hints::default();
        for port in 1..1_000 {
            let origin = Origin::parse(&format!("http://localhost:{port}")).ok();
            hints.tell(&Refusal::ForeignOrigin(origin));
        }
        assert_eq!(hints.0.lock().unwrap().len(), TOLD);
    }
}
