//! Every engine under its faults, by fixed seeds: nothing acknowledged is lost in silence, nothing
//! comes twice on a connection or out of order, no id is given twice, and where nothing may be
//! lost, nothing is.

use std::sync::Mutex;

use fanfare_rig::engine::HubEngine;
use fanfare_rig::fault::Fault;
use fanfare_rig::round::{RoundPlan, RoundReport, run};

/// One hub at a time: its clients are enough for a small machine.
static TURN: Mutex<()> = Mutex::new(());

fn survives(engine: HubEngine, faults: Vec<Fault>, seed: u64) -> RoundReport {
    let _turn = TURN.lock();
    let plan = RoundPlan::faulty(seed, engine, faults, 40);
    let report = run(&plan).expect("a hub starts");
    let told: String = report.findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(report.is_clean(), "{:?}, seed {seed}, engine {engine}{told}", report.wrong);
    assert!(report.faults.values().sum::<u64>() > 0, "{report:#?}");
    assert!(report.acknowledged > 0 && report.delivered > 0, "{report:#?}");
    report
}

fn all(engine: HubEngine) -> Vec<Fault> {
    Fault::of(engine)
}

/// Those after which everything that was acknowledged must still be there.
fn lossless(engine: HubEngine) -> Vec<Fault> {
    all(engine).into_iter().filter(|fault| !fault.may_lose(engine)).collect()
}

#[test]
fn a_hub_in_memory_survives_every_fault() {
    survives(HubEngine::Memory, all(HubEngine::Memory), 2);
}

#[test]
fn a_hub_on_disk_survives_every_fault() {
    survives(HubEngine::Data, all(HubEngine::Data), 4);
}

#[test]
fn a_hub_on_disk_loses_nothing() {
    let report = survives(HubEngine::Data, lossless(HubEngine::Data), 5);
    assert!(report.disturbed > 0, "{report:#?}");
}

#[test]
fn a_hub_on_redis_loses_nothing() {
    survives(HubEngine::Redis, lossless(HubEngine::Redis), 6);
}

#[test]
fn two_nodes_on_redis_survive_every_fault() {
    survives(HubEngine::Cluster, all(HubEngine::Cluster), 7);
}

#[test]
fn two_nodes_survive_a_redis_that_forgets() {
    survives(HubEngine::Snapshots, vec![Fault::RedisKilled, Fault::Failover], 8);
}
