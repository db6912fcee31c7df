//! What stands in `deploy/` is what its tools accept. There is no container engine among them: what
//! only one could show is not shown here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::tempdir;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy(file)).unwrap()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{:?} cannot be run, scripts/test installs it: {error}", command.get_program())
    })
}

/// Succeeds, and has nothing to say about it.
fn accepts(command: &mut Command) {
    let output = run(command);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {}\n{said}", output.status);
}

/// Every `FANFARE_…` of a text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.len() > 8 && word.starts_with("FANFARE_"))
}

#[test]
fn systemd_accepts_the_unit() {
    let directory = tempdir().unwrap();
    let unit = directory.path().join("fanfare.service");
    let text = read("fanfare.service");
    assert!(text.contains("ExecStart=/usr/local/bin/fanfare serve\n"));
    let text = text.replace("/usr/local/bin/fanfare", env!("CARGO_BIN_EXE_fanfare"));
    fs::write(&unit, text).unwrap();
    accepts(Command::new("systemd-analyze").arg("verify").arg(&unit));
    // What may do everything has 10.0.
    let judged = run(Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=15"])
        .arg(&unit));
    let table = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "an exposure of more than 1.5:\n{table}");
}

#[test]
fn docker_compose_accepts_the_file() {
    let compose = |variables: &[(&str, &str)]| {
        let mut command = Command::new("docker-compose");
        command.args(["--env-file", "/dev/null", "-f"]).arg(deploy("compose.yaml"));
        command.args(["config", "--quiet"]);
        // What the tests were started with must not count.
        command.env_remove("FANFARE_PUBLISH_KEY").env_remove("REDIS_PASSWORD");
        command.envs(variables.iter().copied());
        command
    };
    let credentials = [("REDIS_PASSWORD", "r"), ("FANFARE_PUBLISH_KEY", "p")];
    accepts(&mut compose(&credentials));
    for missing in 0..2 {
        let output = run(&mut compose(&credentials[missing..=missing]));
        assert!(!output.status.success(), "it starts without {:?}", credentials[1 - missing]);
    }
}

#[test]
fn hadolint_accepts_the_dockerfile() {
    accepts(Command::new("hadolint").arg(deploy("Dockerfile")));
}

#[test]
fn every_setting_that_is_named_exists() {
    let help = run(Command::new(env!("CARGO_BIN_EXE_fanfare")).args(["serve", "--help"])).stdout;
    let help = String::from_utf8(help).unwrap();
    // Of the Compose file itself, and of the commands.
    let others = ["FANFARE_ADDRESS", "FANFARE_URL"];
    for file in ["Dockerfile", "compose.yaml", ".env.example", "fanfare.env", "fanfare.service"] {
        for name in variables(&read(file)).filter(|name| !others.contains(name)) {
            assert!(help.contains(&format!("[env: {name}]")), "{file} has {name}");
        }
    }
}

#[test]
fn every_value_of_the_example_is_used() {
    let (asked, used) = (read(".env.example"), read("compose.yaml"));
    for name in variables(&asked).chain(["REDIS_PASSWORD"]) {
        assert!(used.contains(&format!("${{{name}:")), "compose.yaml does not use {name}");
    }
}
