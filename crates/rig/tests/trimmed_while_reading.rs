//! Retention trims while a client that was away reads where it trims: on every engine, everything
//! acknowledged after its cursor is delivered, or a gap says that it is gone.
//!
//! The disk of nodes is made slow where luck would be needed otherwise.

use fanfare_rig::engine::Engine;
use fanfare_rig::race::{Retention, race};
use fanfare_rig::round::play;

fn nothing_is_lost_in_silence(engine: Engine, retention: Retention, slow_disk: bool) {
    let plan = race(engine, retention, slow_disk, 1);
    let report = play(&plan).expect("a hub starts");
    let told: String = report.findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(report.is_clean(), "{:?}, seed {}{told}", report.wrong, plan.seed);
    // It was a race: something was trimmed, and clients met it.
    assert!(report.acknowledged as usize > plan.retained.0, "{report:#?}");
    assert!(report.gaps.contains_key("trimmed"), "{report:#?}");
    assert!(!slow_disk || report.disturbed > 0, "{report:#?}");
}

#[test]
fn by_a_log_in_memory() {
    nothing_is_lost_in_silence(Engine::Memory, Retention::Default, false);
}

#[test]
fn by_a_small_log_in_memory() {
    nothing_is_lost_in_silence(Engine::Memory, Retention::Small, false);
}

#[test]
fn by_a_log_on_disk() {
    nothing_is_lost_in_silence(Engine::Data, Retention::Default, false);
}

#[test]
fn by_a_log_on_a_slow_disk() {
    nothing_is_lost_in_silence(Engine::Data, Retention::Default, true);
}

#[test]
fn by_a_small_log_on_disk() {
    nothing_is_lost_in_silence(Engine::Data, Retention::Small, false);
}

#[test]
fn by_a_small_log_on_a_slow_disk() {
    nothing_is_lost_in_silence(Engine::Data, Retention::Small, true);
}

#[test]
fn by_the_limit_of_a_topic() {
    nothing_is_lost_in_silence(Engine::Data, Retention::OfTopics, false);
}

#[test]
fn by_the_limit_of_a_topic_on_a_slow_disk() {
    nothing_is_lost_in_silence(Engine::Data, Retention::OfTopics, true);
}

#[test]
fn by_redis() {
    nothing_is_lost_in_silence(Engine::Redis, Retention::Default, false);
}

#[test]
fn by_redis_with_small_retention() {
    nothing_is_lost_in_silence(Engine::Redis, Retention::Small, false);
}

#[test]
fn by_redis_with_clients_that_move_between_two_nodes() {
    nothing_is_lost_in_silence(Engine::Cluster, Retention::Small, false);
}
