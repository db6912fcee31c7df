//! Completions and manual pages render, and know every command.

use crate::support::{fanfare, run};

const COMMANDS: [&str; 10] = [
    "serve",
    "publish",
    "subscribe",
    "token",
    "ready",
    "doctor",
    "bench",
    "conformance",
    "completions",
    "man",
];

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&mut fanfare(&["completions", shell]));
        let script = ended.lines().join("\n");
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
        assert!(script.contains("retain-age") && script.contains("since"), "{shell}: no flags");
    }
}

#[test]
fn every_page_has_text() {
    let ended = run(&mut fanfare(&["man"]));
    let page = ended.lines().join("\n");
    assert!(page.contains(".TH") && page.contains("Server\\-Sent Events"), "{page}");
    for command in COMMANDS {
        assert!(page.contains(&format!("fanfare\\-{command}(1)")), "no {command}");
        let ended = run(&mut fanfare(&["man", command]));
        let page = ended.lines().join("\n");
        assert!(page.contains(".SH NAME") && page.contains(command), "{page}");
    }
    let ended = run(&mut fanfare(&["man", "publish"]));
    assert!(ended.lines().join("\n").contains("Exit codes"));
}

#[test]
fn every_page_says_what_it_describes() {
    let version = env!("CARGO_PKG_VERSION");
    for words in [&[][..], &["publish"], &["token", "mint"]] {
        let name = [&["fanfare"], words].concat();
        let ended = run(&mut fanfare(&[&["man"], words].concat()));
        let page = ended.lines().join("\n");
        for part in [
            format!(".TH {} 1  \"fanfare {version}\"", name.join("-")),
            format!("\n{} \\- ", name.join("\\-")),
            format!(".SH SYNOPSIS\n\\fB{}\\fR", name.join(" ")),
            format!(".SH VERSION\nv{version}"),
        ] {
            assert!(page.contains(&part), "{part:?} in {page}");
        }
    }
}
