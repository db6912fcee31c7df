//! What people meet when they mistype a setting: the real program, its messages, its exit codes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An empty directory for the test of this name.
fn directory(test: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings").join(test);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// The program in `directory`, with none of the settings of whoever runs the tests.
fn fanfare(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FANFARE_") {
            command.env_remove(name);
        }
    }
    command.current_dir(directory).args(arguments);
    command
}

/// Runs `command`, which must end with exit code 2 and nothing on standard output; its complaint.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    stderr
}

/// Runs `command`, which must succeed; its answer.
#[track_caller]
fn answer(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn a_bad_variable_is_named() {
    let directory = directory("variable");
    assert_eq!(
        refusal(fanfare(&directory, &[]).env("FANFARE_RETAIN_AGE", "12 parsecs")),
        "error: --retain-age (from FANFARE_RETAIN_AGE): \"12 parsecs\" is not a duration: \
         write a number and a unit, such as 250ms, 15s, 5m, 24h or 7d\n"
    );
}

#[test]
fn a_bad_flag_is_named() {
    let directory = directory("flag");
    for arguments in [&["--heartbeat", "2h"][..], &["serve", "--heartbeat", "2h"]] {
        assert_eq!(
            refusal(&mut fanfare(&directory, arguments)),
            "error: --heartbeat (from the command line): 2h is out of range: \
             allowed is 100ms to 1h\n"
        );
    }
}

#[test]
fn the_file_in_the_working_directory_is_read() {
    let directory = directory("default_file");
    fs::write(directory.join("fanfare.toml"), "# settings\nretain-age = '24h'\n").unwrap();
    assert_eq!(
        refusal(&mut fanfare(&directory, &[])),
        "error: fanfare.toml, line 2: there is no setting \"retain-age\": \
         did you mean retain_age?\n"
    );
}

#[test]
fn the_named_file_is_read() {
    let directory = directory("named_file");
    fs::write(directory.join("fanfare.toml"), "prefix = 'unused'").unwrap();
    fs::write(directory.join("other.toml"), "shards = 1000").unwrap();
    let expected = "error: --shards (from other.toml, line 1, key shards): 1000 is out of range: \
                    allowed is 1 to 256\n";
    assert_eq!(refusal(&mut fanfare(&directory, &["--config", "other.toml"])), expected);
    assert_eq!(refusal(fanfare(&directory, &[]).env("FANFARE_CONFIG", "other.toml")), expected);
}

#[test]
fn an_unusable_file_is_reported() {
    let directory = directory("unusable_file");
    let missing = refusal(&mut fanfare(&directory, &["--config", "missing.toml"]));
    assert!(missing.starts_with("error: cannot read the settings in missing.toml: "), "{missing}");

    fs::write(directory.join("broken.toml"), "shards = 1\nprefix = \n").unwrap();
    let broken = refusal(&mut fanfare(&directory, &["--config", "broken.toml"]));
    assert!(broken.starts_with("error: broken.toml, line 2, column "), "{broken}");
    assert!(broken.contains("not TOML"), "{broken}");

    fs::create_dir(directory.join("fanfare.toml")).unwrap();
    let unreadable = refusal(&mut fanfare(&directory, &[]));
    assert!(
        unreadable.starts_with("error: cannot read the settings in fanfare.toml"),
        "{unreadable}"
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let directory = directory("all");
    let said = refusal(&mut fanfare(&directory, &["--prefix", "sse", "--allow-origin", "*"]));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("error: --prefix (from the command line): \"sse\""), "{said}");
    assert!(lines[1].starts_with("error: --allow-origin (from the command line): \"*\""), "{said}");
}

#[test]
fn an_unknown_flag_or_command_is_refused() {
    let directory = directory("unknown");
    for arguments in
        [&["--hartbeat", "15s"][..], &["srve"], &["--shards", "2", "serve"], &["--drain"]]
    {
        refusal(&mut fanfare(&directory, arguments));
    }
}

#[test]
fn help_lists_every_setting() {
    let directory = directory("help");
    let long = answer(&mut fanfare(&directory, &["--help"]));
    let short = answer(&mut fanfare(&directory, &["-h"]));
    for flag in [
        "--config",
        "--listen",
        "--prefix",
        "--templates",
        "--allow-origin",
        "--publish-key",
        "--publish-key-file",
        "--subscribe-key",
        "--subscribe-key-file",
        "--jwt-secret",
        "--jwt-public-key",
        "--jwks-url",
        "--jwt-issuer",
        "--jwt-audience",
        "--anonymous-subscribe",
        "--allow-host",
        "--cookie-name",
        "--publish-rate",
        "--max-subscribers-per-address",
        "--max-subscribers-per-subject",
        "--max-topics",
        "--max-requests",
        "--trusted-proxy",
        "--heartbeat",
        "--retry",
        "--write-timeout",
        "--drain",
        "--max-subscribers",
        "--shards",
        "--max-message",
        "--idempotency-window",
        "--idempotency-keys",
        "--redis-wait-replicas",
        "--retain-count",
        "--retain-bytes",
        "--retain-age",
        "--window-count",
        "--window-bytes",
        "--log-format",
        "--log-level",
    ] {
        let usage = format!("      {flag} <");
        assert!(short.contains(&usage), "{flag} in {short}");
        assert!(long.contains(&usage), "{flag} in {long}");
        let variable = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
        assert!(long.contains(&format!("[env: FANFARE_{variable}]")), "{flag} in {long}");
    }
    assert!(long.contains("curl -X POST http://127.0.0.1:8000/sse/send"), "{long}");
    assert!(long.contains("Examples:"), "{long}");
    assert_eq!(answer(&mut fanfare(&directory, &["help"])), long);
}

#[test]
fn the_version_is_right() {
    let directory = directory("version");
    let said = answer(&mut fanfare(&directory, &["--version"]));
    assert_eq!(said, concat!("fanfare ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_mistake_beside_a_secret_hides_it() {
    let directory = directory("secrets_in_messages");
    for broken in [
        "publish_key = hunter2-hunter2-hunter2",
        "publish_key = \"hunter2-hunter2-hunter2",
        "publish_key = ['hunter2-hunter2-hunter2'",
        "jwt_secret = 'hunter2-hunter2-hunter2' x",
        "redis = 'redis://u:hunter2@host' 'hunter2'",
        "hunter2 hunter2 = 1",
        "jwt_secret = \"\\qhunter2\"",
        "jwks_url = 'https://user:hunter2@host/keys'",
        "jwks_url = 'https://user:hunter2/hunter2@host/keys'",
        "acme_directory = 'https://user:hunter2@host/'",
        "allow_origin = ['https://user:hunter2@host']",
    ] {
        fs::write(directory.join("secret.toml"), format!("shards = 1\n{broken}\n")).unwrap();
        let said = refusal(&mut fanfare(&directory, &["--config", "secret.toml"]));
        assert!(said.contains("secret.toml, line "), "{broken}: {said}");
        assert!(!said.contains("hunter2"), "{broken}: {said}");
    }
    for flag in ["--jwks-url", "--acme-directory", "--allow-origin"] {
        let said = refusal(&mut fanfare(&directory, &[flag, "https://user:hunter2@host:x/keys"]));
        assert!(said.contains(flag) && !said.contains("hunter2"), "{said}");
    }
}
