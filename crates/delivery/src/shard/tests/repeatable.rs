//! Whether a run can be repeated: a simulation is of no use that finds a fault and cannot find it again.

use fanfare_hub::{Requested, WindowBounds};

use super::rig::{Rig, text};

/// What each step has brought to whom, of subscribers that one event concerns by different patterns and
/// that must all read the log.
fn run() -> Vec<Vec<String>> {
    fastrand::seed(7);
    let mut rig = Rig::new(WindowBounds { count: 5, bytes: 1 << 40 });
    let patterns =
        ["t/*/*", "t/*/**", "t/**", "t/**/b", "t/*/b", "t/a/b", "**/b", "*/*/b", "*/a/*"];
    let sockets = patterns.map(|pattern| {
        let socket = rig.ask(pattern, &Requested::Live);
        socket.make_room(usize::MAX);
        socket
    });
    rig.turn_until_idle();
    rig.publish((0..30).map(|n| ("t/a/b", n.to_string())));
    rig.turn_until_idle();
    let mut steps = Vec::new();
    loop {
        steps.push(sockets.iter().map(text).collect());
        if !rig.read_one() {
            return steps;
        }
    }
}

#[test]
fn a_run_that_is_repeated_goes_as_before() {
    let first = run();
    assert!(first.len() > 9, "nobody had to read the log");
    assert_eq!(first, run());
}
