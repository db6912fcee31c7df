//! Retention trims while a client that was away reads where it trims: on every engine, everything
//! acknowledged after its cursor is delivered, or a gap says that it is gone.
//!
//! The disk of nodes is made slow where luck would be needed otherwise.

use fanfare_rig::engine::HubEngine;
use fanfare_rig::race::{RaceRetention, race};
use fanfare_rig::round::run;

fn nothing_is_lost_in_silence(engine: HubEngine, retention: RaceRetention, slow_disk: bool) {
    let plan = race(engine, retention, slow_disk, 1);
    let report = run(&plan).expect("a hub starts");
    let told: String = report.findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(report.is_clean(), "{:?}, seed {}{told}", report.wrong, plan.seed);
    // It was a race: something was trimmed, and clients met it.
    assert!(report.acknowledged as usize > plan.retained.0, "{report:#?}");
    assert!(report.gaps.contains_key("trimmed"), "{report:#?}");
    assert!(!slow_disk || report.disturbed > 0, "{report:#?}");
}

#[test]
fn a_log_in_memory_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Memory, RaceRetention::Default, false);
}

#[test]
fn a_small_log_in_memory_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Memory, RaceRetention::Small, false);
}

#[test]
fn a_log_on_disk_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Data, RaceRetention::Default, false);
}

#[test]
fn a_log_on_a_slow_disk_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Data, RaceRetention::Default, true);
}

#[test]
fn a_small_log_on_disk_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Data, RaceRetention::Small, false);
}

#[test]
fn a_small_log_on_a_slow_disk_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Data, RaceRetention::Small, true);
}

#[test]
fn the_limit_of_a_topic_is_told() {
    nothing_is_lost_in_silence(HubEngine::Data, RaceRetention::OfTopics, false);
}

#[test]
fn the_limit_of_a_topic_is_told_on_a_slow_disk() {
    nothing_is_lost_in_silence(HubEngine::Data, RaceRetention::OfTopics, true);
}

#[test]
fn redis_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Redis, RaceRetention::Default, false);
}

#[test]
fn redis_with_small_retention_tells_its_trims() {
    nothing_is_lost_in_silence(HubEngine::Redis, RaceRetention::Small, false);
}

#[test]
fn redis_tells_trims_to_clients_that_move() {
    nothing_is_lost_in_silence(HubEngine::Cluster, RaceRetention::Small, false);
}
