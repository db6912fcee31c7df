//! The audit trail: who was let in to do what, and who was refused, as lines of the target `audit`.
//!
//! What must hold: a line's fields are those that `docs/security.md` lists, and none holds a secret. A
//! flood of refusals is not a flood of lines: each kind has a number of them a second, and the next line
//! says how many were left out.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_auth::Identity;
use fanfare_event::printable;

use crate::refusal::RefusalNote;

/// How many lines of one kind are written in a second.
const LINES: u64 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Writes a line of the trail.
macro_rules! audit {
    ($action:literal $(, $($field:tt)+)?) => {
        tracing::info!(target: "audit", action = $action $(, $($field)+)?)
    };
}
pub(crate) use audit;

/// How many lines were written lately.
#[derive(Debug, Default)]
pub struct Trail {
    failures: Mutex<LineBudget>,
    refusals: Mutex<LineBudget>,
    tickets: Mutex<LineBudget>,
}

#[derive(Debug, Default)]
struct LineBudget {
    since: Option<Instant>,
    written: u64,
    left_out: u64,
}

/// An administrator, as a request of theirs carries it.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    pub(crate) who: String,
    pub(crate) from: IpAddr,
}

impl Trail {
    /// A ticket was drawn.
    pub(crate) fn ticket(&self, who: &Identity, from: IpAddr) {
        if let Some(left_out) = spend(&self.tickets) {
            audit!("ticket_drawn", who = &*name_of(who), %from, left_out);
        }
    }

    /// A request from this address was refused.
    pub(crate) fn refused(&self, refusal: &RefusalNote, from: IpAddr) {
        let RefusalNote { reason, failure, who, .. } = refusal;
        let reason = reason.as_str();
        match failure {
            Some(why) => {
                if let Some(left_out) = spend(&self.failures) {
                    audit!("login_failed", reason, why = &**why, %from, left_out);
                }
            }
            None => {
                if let Some(left_out) = spend(&self.refusals) {
                    let who = who.as_ref().map_or_else(|| "anonymous".to_owned(), name_of);
                    audit!("refused", reason, who = &*who, %from, left_out);
                }
            }
        }
    }
}

/// Room for one line; how many were left out since the last.
fn spend(budget: &Mutex<LineBudget>) -> Option<u64> {
    let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
    budget.spend(Instant::now())
}

impl LineBudget {
    fn spend(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now - since >= SECOND) {
            (self.since, self.written) = (Some(now), 0);
        }
        if self.written >= LINES {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// Who someone is, in a form that no line is broken by. An access key is told from others by a
/// digest under a secret of this process, from which nobody can find the key.
pub(crate) fn name_of(identity: &Identity) -> String {
    match identity {
        Identity::Anonymous => "anonymous".to_owned(),
        Identity::AccessKey(key) => format!("key:{:08x}", salted(key)),
        Identity::Bearer(token) => format!("bearer:{:08x}", salted(token)),
        Identity::Subject { name, issuer: None } => printable(&format!("subject:{name}")),
        Identity::Subject { name, issuer: Some(issuer) } => {
            printable(&format!("subject:{name} issuer:{issuer}"))
        }
    }
}

fn salted(digest: &impl std::hash::Hash) -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    use std::sync::OnceLock;
    static SALT: OnceLock<RandomState> = OnceLock::new();
    SALT.get_or_init(RandomState::new).hash_one(digest) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_a_trace_and_does_not_flood_the_trail() {
        let mut budget = LineBudget::default();
        let now = Instant::now();
        let written = (0..1_000).filter(|_| budget.spend(now).is_some()).count();
        assert_eq!(written as u64, LINES);
        assert_eq!(budget.spend(now + SECOND), Some(1_000 - LINES), "how many were left out");
        assert_eq!(budget.spend(now + SECOND), Some(0));
    }

    #[test]
    fn no_subject_breaks_a_line_of_the_trail() {
        let name = "ada\nlevel=ERROR\u{202e}\u{9b}";
        let named = name_of(&Identity::Subject { name: name.into(), issuer: Some("\r".into()) });
        assert!(
            !named.chars().any(|c| c.is_control() || fanfare_event::is_deceptive(c)),
            "{named}"
        );
    }
}
