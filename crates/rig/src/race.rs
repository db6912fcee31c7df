//! The race between trimming and reading: publishers in batches, clients that come back where
//! retention is about to trim. It once lost events in silence.

use std::time::Duration;

use crate::engine::HubEngine;
use crate::preload::ControlSlot;
use crate::publisher::PublisherConfig;
use crate::round::RoundPlan;

/// What is retained in a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaceRetention {
    /// As the hub does it unasked.
    Default,
    /// So little that something is trimmed all the time.
    Small,
    /// So much of each topic.
    OfTopics,
}

/// A race on this engine.
pub fn race(engine: HubEngine, retention: RaceRetention, slow_disk: bool, seed: u64) -> RoundPlan {
    let (settings, retained): (&[&str], _) = match retention {
        RaceRetention::Default => (&[], (100_000, 12_500)),
        RaceRetention::Small => {
            (&["--retain-count", "8000", "--window-count", "500"], (8_000, 1_000))
        }
        RaceRetention::OfTopics => {
            (&["--retain-topic-count", "500", "--window-count", "500"], (6_000, 400))
        }
    };
    let config = PublisherConfig { batch: 500, rate: 0, keyed: false, one_topic: true };
    RoundPlan {
        seed,
        engine,
        settings: settings.iter().map(|&word| word.to_owned()).collect(),
        time: Duration::from_secs(4),
        events: retained.0 as u64 * 3 / 2,
        publishers: vec![config; 3],
        followers: 8,
        racers: 24,
        retained,
        disk: if slow_disk { vec![(ControlSlot::ReadDelay, 30_000)] } else { Vec::new() },
        faults: Vec::new(),
        keeps: false,
        leaves: false,
    }
}
