//! Twenty upgrades of a hub on each engine, each with a fault drawn by a fixed seed: no stream ends
//! that should have moved, no event is lost, comes twice or out of order, each publish is acknowledged once,
//! and nothing is left behind.

use std::path::Path;
use std::sync::Mutex;

use fanfare_rig::binary;
use fanfare_rig::engine::HubEngine;
use fanfare_rig::upgrade::fault::{Act, RelayAction, UpgradeFault};
use fanfare_rig::upgrade::relay::ExpectedOutcome;
use fanfare_rig::upgrade::round::{UpgradePlan, UpgradeReport, run};
use fanfare_rig::upgrade::side::Side;
use fanfare_rig::upgrade::step::UpgradeStep;

/// One hub at a time: its clients are enough for a small machine.
static TURN: Mutex<()> = Mutex::new(());

/// A plan for a small machine.
fn plan(engine: HubEngine, seed: u64) -> UpgradePlan {
    UpgradePlan {
        seed,
        engine,
        upgrades: 20,
        clients: 24,
        streams: 300,
        rate: 90,
        long: false,
        faults: None,
        only: String::new(),
        program: binary::fanfare().to_owned(),
        go_between: Path::new(env!("CARGO_BIN_EXE_rig-go-between")).to_owned(),
        tells: false,
        leaves: false,
    }
}

fn run_plan(plan: &UpgradePlan) -> UpgradeReport {
    let _turn = TURN.lock();
    let report = run(plan).expect("a hub starts");
    let told: String = report.findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(report.wrong.is_empty(), "{:?}, seed {}{told}", report.wrong, plan.seed);
    assert!(report.acknowledged > 0 && report.delivered > 0, "{report:#?}");
    report
}

fn survives_twenty_upgrades(engine: HubEngine, seed: u64) {
    let report = run_plan(&plan(engine, seed));
    for outcome in [ExpectedOutcome::Stays, ExpectedOutcome::Moves] {
        assert!(report.outcomes.contains_key(&outcome), "{report:#?}");
    }
}

#[test]
fn a_hub_in_memory_survives_upgrades() {
    survives_twenty_upgrades(HubEngine::Memory, 1);
}

#[test]
fn a_hub_on_disk_survives_upgrades() {
    survives_twenty_upgrades(HubEngine::Data, 2);
}

#[test]
fn two_nodes_on_redis_survive_upgrades() {
    survives_twenty_upgrades(HubEngine::Cluster, 3);
}

#[test]
fn what_was_handed_over_survives_the_old_process() {
    let steps = [
        UpgradeStep::Descriptors,
        UpgradeStep::Received,
        UpgradeStep::Prepared,
        UpgradeStep::Commit,
        UpgradeStep::Committed,
        UpgradeStep::Serving,
    ];
    let killed = |at| UpgradeFault::At(RelayAction { at, act: Act::Kill(Side::Old, None) });
    let report = run_plan(&UpgradePlan {
        upgrades: 6,
        // No more than go in one message: it has been heard, or it has not.
        streams: 100,
        faults: Some(steps.map(killed).to_vec()),
        ..plan(HubEngine::Memory, 4)
    });
    assert_eq!(report.outcomes, [(ExpectedOutcome::Moves, 6)].into());
}
