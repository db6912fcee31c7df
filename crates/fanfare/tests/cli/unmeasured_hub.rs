//! `fanfare bench` measures whichever hub it is told of, in the way all clients are told.

use crate::support::{Hub, json, run};

const BRIEFLY: [&str; 9] =
    ["bench", "--json", "-s", "5", "-r", "100", "--warmup", "0", "--duration=300ms"];

#[test]
fn the_hub_in_the_environment_is_measured() {
    let hub = Hub::start(&[]);
    // So long that something is published within it, whoever else has the processor for a moment.
    let measured = [&BRIEFLY[..8], &["--duration=2s"]].concat();
    let report = &json(&hub.lines(&measured).join(""))[0];
    let figure = |name: &str| report["window"][name].as_u64().unwrap();
    assert!(figure("published") > 0, "{report}");
    // Not five for each: what is under way when the measuring ends is counted on one side only.
    assert!(figure("deliveries") > 0, "{report}");
}

#[test]
fn a_hub_that_asks_for_a_key_can_be_measured() {
    let hub = Hub::start(&[
        "--publish-key",
        "let-me-publish-this",
        "--subscribe-key",
        "let-me-hear-all-of-it",
    ]);
    let refused = run(&mut hub.fanfare(&BRIEFLY));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("401"), "{refused:?}");

    let key = "good-for-both-of-them";
    let hub = Hub::start(&["--publish-key", key, "--subscribe-key", key]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{key}\n")).unwrap();
    let by_flag = [&BRIEFLY[..], &["--token", key]].concat();
    let by_file = [&BRIEFLY[..], &["--token-file", file.path().to_str().unwrap()]].concat();
    for mut command in [hub.fanfare(&by_flag), hub.fanfare(&by_file), {
        let mut command = hub.fanfare(&BRIEFLY);
        command.env("FANFARE_TOKEN", key);
        command
    }] {
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stderr.contains(key), "a key is shown: {ended:?}");
    }
}
