//! The fault rig as a command.

use fanfare_rig::engine::Engine;
use fanfare_rig::race::{Retention, race};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let engine = Engine::ALL.into_iter().find(|e| e.as_str() == arguments[0]).expect("engine");
    let retention = match arguments[1].as_str() {
        "default" => Retention::Default,
        "small" => Retention::Small,
        _ => Retention::OfTopics,
    };
    let plan = race(engine, retention, arguments.get(2).is_some(), 1);
    let report = fanfare_rig::round::play(&plan).expect("plays");
    println!("{report:#?}");
    for finding in report.findings {
        println!("{finding}");
    }
}
