//! The commands in the guides work. Those in blocks marked `sh test` are run here, those of one
//! guide in order against a hub of their own, in an empty directory.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fanfare_testkit::RedisServer;

use crate::support::{Hub, PATIENCE, Setup};

/// The hub's address as the guides have it.
const ADDRESS: &str = "127.0.0.1:8000";

fn guides() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The blocks of a guide that are to be run, without the indentation of a list they stand in.
fn blocks(guide: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "```sh test" {
            continue;
        }
        let indentation = line.len() - line.trim_start().len();
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        let block: Vec<_> = block.map(|line| line.get(indentation..).unwrap_or("")).collect();
        blocks.push(block.join("\n"));
    }
    blocks
}

fn run(guide: &str) {
    let hub = Hub::alone(&[]);
    run_at(guide, &[(ADDRESS, hub.address().to_string())]);
}

/// Runs a guide's blocks, with the addresses it has replaced by others.
fn run_at(guide: &str, places: &[(&str, String)]) {
    let text = fs::read_to_string(guides().join(guide)).unwrap();
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{guide} has nothing to run");
    let directory = tempfile::tempdir().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_fanfare")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), env::var("PATH").unwrap());
    for block in blocks {
        let replace = |script: String, (from, to): &(&str, String)| script.replace(from, to);
        let script = places.iter().fold(block, replace);
        let output = Command::new("timeout")
            .args([&PATIENCE.as_secs().to_string(), "sh", "-euc", &script])
            .current_dir(directory.path())
            .env("PATH", &path)
            .output()
            .expect("`timeout` and `sh` are there");
        assert!(
            output.status.success(),
            "docs/{guide}:\n{script}\n{}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

macro_rules! guides {
    ($($name:ident: $file:literal),+ $(,)?) => {
        const GUIDES: &[&str] = &[$($file),+, CLUSTER];
        $(#[test]
        fn $name() {
            run($file);
        })+
    };
}

guides! {
    guarantees: "guarantees.md",
    behind_a_proxy: "proxies.md",
    from_fastapi: "from-fastapi.md",
    clients: "clients.md",
    sizing: "sizing.md",
}

const CLUSTER: &str = "cluster.md";

#[test]
fn cluster() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let [one, two] = [(); 2].map(|()| Setup::new(&["--redis", &url]).own_log().start());
    let places = [
        (ADDRESS, one.address().to_string()),
        ("127.0.0.1:8001", two.address().to_string()),
        ("127.0.0.1:6379", format!("127.0.0.1:{}", redis.port())),
    ];
    run_at(CLUSTER, &places);
}

#[test]
fn a_guide_has_commands_that_nobody_runs() {
    for entry in fs::read_dir(guides()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let runs = path.is_file() && !blocks(&fs::read_to_string(&path).unwrap()).is_empty();
        assert!(!runs || GUIDES.contains(&&*name), "add docs/{name} to the list above");
    }
}
