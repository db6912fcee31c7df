//! What may go wrong with an upgrade, in shuffled order: a run takes each of them before it takes one again.

use std::fmt;
use std::time::Duration;

use super::side::Side;
use super::step::UpgradeStep;

/// What is done at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// `kill -9`: as soon as the message is said, or so long after it was passed on.
    Kill(Side, Option<Duration>),
    /// It stands still for so long.
    Stop(Side, Duration),
    /// The message arrives as nonsense.
    Spoil,
    /// The new process knows other formats.
    AnotherFormat,
    /// The new process may have no more than so many bytes beyond what it has.
    LittleMemory(u64),
}

/// What is done, and at which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAction {
    /// At the first of this kind.
    pub at: UpgradeStep,
    /// What.
    pub act: Act,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeFault {
    /// Something at a message.
    At(RelayAction),
    /// The new process never says a word.
    SilentProcess,
    /// There is no such program.
    Missing,
    /// It may not be executed.
    NotExecutable,
    /// It is of another architecture.
    AnotherMachine,
    /// It is no hub.
    NoHub,
    /// The settings have become wrong.
    WrongSettings,
    /// The new process may open fewer files than the old one has: so many in a thousand of them. What a process
    /// may not open, it may never open again.
    FewFilesThere(u64),
    /// The old process may open so many more files than it has.
    FewFilesHere(u64),
    /// Whoever gave the order is killed so long after it.
    ClientKilled(Duration),
}

impl UpgradeFault {
    /// All of them in shuffled order, each a few times with what is left to chance. `long` are those too that take half
    /// a minute.
    pub fn shuffled_faults(random: &mut fastrand::Rng, long: bool) -> Vec<Self> {
        let mut shuffled_faults = Vec::new();
        let mut at = |at, act| shuffled_faults.push(Self::At(RelayAction { at, act }));
        let millis = Duration::from_millis;
        for step in UpgradeStep::ALL {
            for side in [Side::Old, Side::New] {
                at(step, Act::Kill(side, None));
                // Some way into what it does next.
                at(step, Act::Kill(side, Some(Duration::from_micros(random.u64(..20_000)))));
            }
            at(step, Act::Nothing);
            // What one commits to is never nonsense: it would be another hub than this.
            if step != UpgradeStep::Committed {
                at(step, Act::Spoil);
            }
        }
        for step in [
            UpgradeStep::Hello,
            UpgradeStep::Ready,
            UpgradeStep::State,
            UpgradeStep::Prepared,
            UpgradeStep::Commit,
        ] {
            at(step, Act::Stop(Side::Old, millis(random.u64(50..2500))));
            at(step, Act::Stop(Side::New, millis(random.u64(50..2500))));
        }
        // Longer than the other waits, while everyone does.
        for step in
            [UpgradeStep::State, UpgradeStep::Received, UpgradeStep::Commit, UpgradeStep::Committed]
        {
            at(step, Act::Stop(Side::New, millis(8000)));
        }
        if long {
            at(UpgradeStep::Hello, Act::Stop(Side::New, millis(40_000)));
        }
        for _ in 0..3 {
            at(UpgradeStep::Ready, Act::LittleMemory(random.u64(..64 << 20)));
        }
        at(UpgradeStep::Hello, Act::AnotherFormat);
        shuffled_faults.extend([
            Self::SilentProcess,
            Self::Missing,
            Self::NotExecutable,
            Self::AnotherMachine,
            Self::NoHub,
            Self::WrongSettings,
        ]);
        for _ in 0..3 {
            shuffled_faults.push(Self::FewFilesThere(random.u64(20..900)));
            shuffled_faults.push(Self::FewFilesHere(random.u64(..8)));
            shuffled_faults.push(Self::ClientKilled(millis(random.u64(..400))));
        }
        random.shuffle(&mut shuffled_faults);
        shuffled_faults
    }

    /// What the relay does.
    pub fn action(self) -> RelayAction {
        match self {
            Self::At(action) => action,
            _ => RelayAction { at: UpgradeStep::Hello, act: Act::Nothing },
        }
    }

    /// Whether whoever gave the order may be told something else than what came of it.
    pub fn may_lose_report(self) -> bool {
        match self {
            Self::ClientKilled(_) => true,
            Self::At(RelayAction { act: Act::Kill(side, _), at }) => {
                side == Side::Old || at >= UpgradeStep::Commit
            }
            // The new process is not heard of any more.
            Self::At(RelayAction { act: Act::Stop(..) | Act::Spoil, at }) => {
                at >= UpgradeStep::Commit
            }
            _ => false,
        }
    }
}

impl fmt::Display for UpgradeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(RelayAction { at, act }) => match act {
                Act::Nothing => f.write_str("no fault"),
                Act::Kill(side, None) => write!(f, "{side} is killed at {at:?}"),
                Act::Kill(side, Some(after)) => {
                    write!(f, "{side} is killed {after:?} after {at:?}")
                }
                Act::Stop(side, time) => write!(f, "{side} stands still for {time:?} at {at:?}"),
                Act::Spoil => write!(f, "{at:?} is nonsense"),
                Act::AnotherFormat => f.write_str("the new program speaks another format"),
                Act::LittleMemory(more) => {
                    write!(f, "the new process has {} KiB of memory left", more / 1024)
                }
            },
            Self::SilentProcess => f.write_str("the new process says nothing"),
            Self::Missing => f.write_str("there is no such program"),
            Self::NotExecutable => f.write_str("the program may not be executed"),
            Self::AnotherMachine => f.write_str("the program is of another architecture"),
            Self::NoHub => f.write_str("the program is no hub"),
            Self::WrongSettings => f.write_str("the settings are wrong"),
            Self::FewFilesThere(part) => {
                write!(f, "the new process may open {part} files for 1000 of the old one's")
            }
            Self::FewFilesHere(more) => write!(f, "the old process may open {more} more files"),
            Self::ClientKilled(after) => write!(f, "whoever asked is killed after {after:?}"),
        }
    }
}
