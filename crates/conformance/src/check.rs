//! One named claim about a hub, and how it is put to the test.

use std::fmt;

use crate::finding::CheckResult;
use crate::hub::Capability;
use crate::rule::Rule;
use crate::subject::Subject;

/// How much a claim weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A standard demands it, or a client is harmed without it.
    Must,
    /// A standard recommends it, or what lies between hub and client needs it.
    Should,
    /// No standard speaks of it; good hubs do it.
    Hub,
}

impl Level {
    /// All, the weightiest first.
    pub const ALL: [Self; 3] = [Self::Must, Self::Should, Self::Hub];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Hub => "HUB",
        })
    }
}

/// A check.
pub struct Check {
    /// Its area and its claim, as in `framing/bare-cr-forges-no-field`.
    pub name: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// Where the claim comes from.
    pub rule: Rule,
    /// What the hub must offer for the claim to apply.
    pub needs: &'static [Capability],
    pub(crate) run: fn(&Subject<'_>) -> CheckResult,
}

impl Check {
    /// The part of the name before the slash.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.name.split('/').next().unwrap_or_default()
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("level", &self.level).finish()
    }
}

pub(crate) const fn must(
    name: &'static str,
    rule: Rule,
    needs: &'static [Capability],
    run: fn(&Subject<'_>) -> CheckResult,
) -> Check {
    Check { name, level: Level::Must, rule, needs, run }
}

pub(crate) const fn should(
    name: &'static str,
    rule: Rule,
    needs: &'static [Capability],
    run: fn(&Subject<'_>) -> CheckResult,
) -> Check {
    Check { name, level: Level::Should, rule, needs, run }
}

pub(crate) const fn hub_level(
    name: &'static str,
    rule: Rule,
    needs: &'static [Capability],
    run: fn(&Subject<'_>) -> CheckResult,
) -> Check {
    Check { name, level: Level::Hub, rule, needs, run }
}
