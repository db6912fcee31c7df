//! What the log says of requests that a setting would let in: each refusal once in a while, with the
//! cure.
//!
//! What must hold: nobody can fill the log, or memory, by being refused; nor keep another's mistake out
//! of the log by making many.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_shares::{Amount, Shares};

use crate::network64::Network64;
use crate::refusal::Refusal;

/// The most refusals that are told apart; any more are counted only, as all are. No address causes more
/// lines than are left for all others.
const TOLD: usize = 32;
/// For how long a refusal that was told of is not told of again, and takes up a line.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The refusals that the log has told of lately, each with what would let the request in.
#[derive(Debug)]
pub(super) struct Hints(Mutex<ReportedRefusals>);

#[derive(Debug)]
struct ReportedRefusals {
    lines: HashSet<String>,
    /// By when they were told of, and because of whom.
    order: VecDeque<(Instant, String, Network64)>,
    shares: Shares<Network64>,
}

impl Default for Hints {
    fn default() -> Self {
        let shares = Shares::new(Amount { count: TOLD, bytes: usize::MAX });
        Self(Mutex::new(ReportedRefusals { lines: HashSet::new(), order: VecDeque::new(), shares }))
    }
}

impl Hints {
    /// Tells of a refusal of someone `from` there, if it has not been told of lately.
    pub(super) fn tell(&self, refusal: &Refusal, from: Option<IpAddr>) {
        let said = refusal.to_string();
        let is_new = {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.note(&said, from.map_or(Network64::UNKNOWN, Network64::of), Instant::now())
        };
        if is_new {
            tracing::warn!("a request was refused: {said}");
        }
    }
}

impl ReportedRefusals {
    /// Whether there is a line for this.
    fn note(&mut self, said: &str, from: Network64, now: Instant) -> bool {
        while let Some((at, ..)) = self.order.front()
            && now.saturating_duration_since(*at) >= REMEMBERED
            && let Some((_, said, from)) = self.order.pop_front()
        {
            self.lines.remove(&said);
            self.shares.give_back(from, 0);
        }
        if self.lines.contains(said) || self.shares.take(from, 0).is_err() {
            return false;
        }
        self.lines.insert(said.to_owned());
        self.order.push_back((now, said.to_owned(), from));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_net::Origin;

    fn address(text: &str) -> Network64 {
        Network64::of(text.parse().unwrap())
    }

    #[test]
    fn whoever_is_refused_does_not_fill_memory() {
        let hints = Hints::default();
        for port in 1..1_000u16 {
            let origin = Origin::parse(&format!("http://localhost:{port}")).ok();
            let from = IpAddr::from([192, 0, 2, (port % 200) as u8]);
            hints.tell(&Refusal::ForeignOrigin(origin), Some(from));
        }
        let told = hints.0.lock().unwrap();
        assert_eq!((told.lines.len(), told.order.len()), (TOLD, TOLD));
    }

    #[test]
    fn no_stranger_keeps_a_real_mistake_out_of_the_log() {
        let (hints, now) = (Hints::default(), Instant::now());
        let mut told = hints.0.lock().unwrap();
        let lines =
            (0..1_000).filter(|n| told.note(&n.to_string(), address("192.0.2.1"), now)).count();
        assert_eq!(lines, TOLD / 2);
        assert!(told.note("the site's own", address("192.0.2.2"), now));
        assert!(!told.note("the site's own", address("192.0.2.3"), now), "once is enough");
        let later = now + REMEMBERED;
        assert!(told.note("the site's own", address("192.0.2.3"), later), "it is still so");
        assert_eq!((told.lines.len(), told.order.len()), (1, 1));
    }
}
