//! The commands and the programs in the guides and in the README work. Those in blocks marked `test`
//! are used here, those of one guide in order, against a hub of their own, in an empty directory:
//!
//! - a block with the info `sh test` is run, and so is a comment that begins with `<!-- sh test`: what
//!   a reader would do by hand, such as to start the program and to look at what it says;
//! - any other, such as `python test follow.py`, is saved under the name that it gives.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use fanfare_testkit::{RedisServer, free_port};

use crate::support::issuer::SECRET;
use crate::support::{Hub, Setup, TEST_TIMEOUT};

/// The hub's address as the guides have it.
const ADDRESS: &str = "127.0.0.1:8000";

/// The same by name.
const BY_NAME: &str = "localhost:8000";

/// The address of a second hub, which a guide starts itself.
const SECOND: &str = "127.0.0.1:8001";

/// The port of the programs in the recipes.
const PROGRAM: &str = "3000";

fn guides() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// A block of a guide that is to be used.
enum Block {
    Run(String),
    Save { name: String, program: String },
}

impl Block {
    /// What is run of it.
    fn script(self) -> Option<String> {
        match self {
            Self::Run(script) => Some(script),
            Self::Save { .. } => None,
        }
    }
}

/// The blocks to be used, without the indentation of a list they stand in.
fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let begun = line.trim();
        let (info, end) = match begun.strip_prefix("```") {
            Some(info) => (info, "```"),
            None => (begun.strip_prefix("<!-- ").unwrap_or_default(), "-->"),
        };
        let (language, name) = match *info.split(' ').collect::<Vec<_>>() {
            [language, "test"] => (language, None),
            [language, "test", name] => (language, Some(name.to_owned())),
            _ => continue,
        };
        let indentation = line.len() - line.trim_start().len();
        let block = lines.by_ref().take_while(|line| line.trim() != end);
        let block: Vec<_> = block.map(|line| line.get(indentation..).unwrap_or("")).collect();
        let text = block.join("\n");
        blocks.push(match (language, name) {
            ("sh", None) => Block::Run(text),
            (_, Some(name)) => Block::Save { name, program: text },
            _ => panic!("`{info}` gives no name to save the block under"),
        });
    }
    blocks
}

/// Where the clients are that the guides use.
fn installed_clients() -> PathBuf {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
    let installed = clients.join("node_modules/.installed");
    assert!(installed.exists(), "what the guides use is not there: tests/clients/install");
    clients.canonicalize().unwrap()
}

fn run(guide: &str) {
    run_with(guide, &[]);
}

/// The same, against a hub with these flags.
fn run_with(guide: &str, flags: &[&str]) {
    let hub = Hub::alone(flags);
    let places = [
        (ADDRESS, hub.address().to_string()),
        (BY_NAME, hub.address().to_string()),
        (SECOND, format!("127.0.0.1:{}", free_port())),
    ];
    run_at(guide, &places);
}

/// Runs a recipe, whose program listens on a port of its own, against a hub with these arguments.
fn run_recipe(recipe: &str, arguments: &[&str]) {
    let hub = Hub::alone(arguments);
    let places = [(ADDRESS, hub.address().to_string()), (PROGRAM, free_port().to_string())];
    run_at(recipe, &places);
}

/// Runs a guide's blocks, with the addresses it has replaced by others. Commands that name no hub
/// mean that of the first.
fn run_at(guide: &str, places: &[(&str, String)]) {
    let text = fs::read_to_string(guides().join(guide)).unwrap();
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{guide} has nothing to run");
    let directory = tempfile::tempdir().unwrap();
    let clients = installed_clients();
    symlink(clients.join("node_modules"), directory.path().join("node_modules")).unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_fanfare")).parent().unwrap();
    let installed = binaries.parent().unwrap().join("clients");
    let python = installed.join("python/bin");
    let maven = format!("-Dmaven.repo.local={}", installed.join("maven").display());
    let path = format!("{}:{}:{}", binaries.display(), python.display(), env::var("PATH").unwrap());
    for block in blocks {
        let placed =
            |text: String| places.iter().fold(text, |text, (from, to)| text.replace(from, to));
        let script = match block {
            Block::Save { name, program } => {
                let file = directory.path().join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, placed(program)).unwrap();
                continue;
            }
            Block::Run(script) => placed(script),
        };
        // What it has left running ends with it, and what that has started: `timeout` has made a group of
        // all of them, of which the shell alone goes on, to end as it would have.
        let whole = format!("trap 'trap \"\" TERM; kill 0' EXIT\n{script}");
        let output = Command::new("timeout")
            .args(["--kill-after", "5", &(4 * TEST_TIMEOUT).as_secs().to_string()])
            .args(["bash", "-euc", &whole])
            .current_dir(directory.path())
            .env("PATH", &path)
            .env("CLIENTS", &clients)
            .env("MAVEN_OPTS", &maven)
            .env("FANFARE_URL", format!("http://{}", places[0].1))
            .output()
            .expect("`timeout` and `bash` are there");
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
        const GUIDES: &[&str] = &[$($file),+, CLUSTER, MERCURE, PROXIES, SECURITY];
        $(#[test]
        fn $name() {
            run($file);
        })+
    };
}

const README: &str = "../README.md";

/// Of its commands, what builds the program and what runs every test.
const NOT_RUN: [&str; 2] = ["cargo run --release", "scripts/test"];

#[test]
fn readme() {
    run(README);
}

#[test]
fn every_command_of_the_readme_is_run() {
    let text = fs::read_to_string(guides().join(README)).unwrap();
    let others: Vec<_> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next()).collect();
    assert_eq!(others, NOT_RUN.map(Some), "mark its block `sh test`");
}

guides! {
    guarantees: "guarantees.md",
    from_fastapi: "from-fastapi.md",
    clients: "clients.md",
    faq: "faq.md",
    install: "install.md",
    live_upgrade: "live-upgrade.md",
    publishing: "publishing.md",
    sizing: "sizing.md",
    tour: "tour.md",
    troubleshooting: "troubleshooting.md",
    upgrading: "upgrading.md",
}

macro_rules! recipes {
    ($($name:ident: $file:literal $(with $argument:literal)*),+ $(,)?) => {
        const RECIPES: &[&str] = &[$($file),+];
        $(#[test]
        fn $name() {
            run_recipe(concat!("recipes/", $file), &[$($argument),*]);
        })+
    };
}

recipes! {
    recipe_for_datastar: "datastar.md",
    recipe_for_django: "django.md",
    recipe_for_express: "express.md",
    recipe_for_fastapi: "fastapi.md",
    recipe_for_flask: "flask.md",
    recipe_for_go: "go.md",
    recipe_for_htmx: "htmx.md",
    recipe_for_laravel: "laravel.md",
    recipe_for_llms: "llm.md",
    recipe_for_mercure: "mercure.md" with "--mercure",
    recipe_for_nextjs: "nextjs.md",
    recipe_for_php: "php.md",
    recipe_for_rails: "rails.md",
    recipe_for_react: "react.md",
    recipe_for_sinatra: "sinatra.md",
    recipe_for_spring: "spring.md",
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

const MERCURE: &str = "mercure.md";

#[test]
fn mercure() {
    run_with(MERCURE, &["--mercure", "--mercure-subscriptions"]);
}

const CLIENTS_JS: &str = "../clients/js/README.md";

#[test]
fn clients_js() {
    run(CLIENTS_JS);
}

const PROXIES: &str = "proxies.md";

#[test]
fn proxies() {
    let hub = Hub::alone(&["--allow-host", "events.example.com", "--heartbeat", "1h"]);
    run_at(PROXIES, &[(ADDRESS, hub.address().to_string())]);
}

const SECURITY: &str = "security.md";

#[test]
fn security() {
    let key = "a-key-that-the-guide-keeps-in-a-file".to_owned();
    let arguments = ["--jwt-secret", SECRET, "--publish-key", &key];
    let hub = Hub::alone(&[&arguments[..], &["--anonymous-subscribe", "public/**"]].concat());
    let places = [
        (ADDRESS, hub.address().to_string()),
        ("$(cat key)", key),
        ("@secret", format!("'{SECRET}'")),
    ];
    run_at(SECURITY, &places);
}

#[test]
fn every_threat_names_a_test_that_exists() {
    let text = fs::read_to_string(guides().join(SECURITY)).unwrap();
    let (_, model) = text.split_once("## Threat model").unwrap();
    let rows = model.lines().filter(|line| line.starts_with("| ")).skip(1);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hub");
    let mut named = 0;
    for row in rows {
        let cell = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
        assert!(cell.contains('`'), "no test answers for {row}");
        for name in cell.split('`').skip(1).step_by(2) {
            if name.starts_with("scripts/") {
                assert!(guides().join("..").join(name).is_file(), "there is no {name}: {row}");
                continue;
            }
            let (file, test) = name.split_once("::").unwrap_or((name, ""));
            let source = fs::read_to_string(tests.join(format!("{file}.rs")));
            let source = source.unwrap_or_else(|_| panic!("there is no {file}.rs: {row}"));
            let declared = test.is_empty() || source.contains(&format!("fn {test}("));
            assert!(declared, "{file}.rs has no {test}");
            named += 1;
        }
    }
    assert!(named > 20, "the table was not found");
}

#[test]
fn every_guide_with_commands_is_listed() {
    for (directory, listed) in [(guides(), GUIDES), (guides().join("recipes"), RECIPES)] {
        for (name, text) in pages(&directory) {
            let runs = !blocks(&text).is_empty();
            assert!(!runs || listed.contains(&&*name), "add {name} to the list above");
        }
    }
}

/// The pages of a directory by their names, and their texts.
fn pages(directory: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let named = pages.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    named.collect()
}

/// What a block is written in if it is there to be run.
const RUNNABLE: [&str; 12] =
    ["sh", "bash", "js", "jsx", "ts", "tsx", "html", "py", "python", "go", "php", "ruby"];

/// Blocks that are run elsewhere: by `scripts/test-packages` and by `scripts/test-chart`.
const ELSEWHERE: [&str; 2] = ["sh package ", "sh helm "];

/// Blocks that are not run as they stand: the guide, how the block begins, and why.
const BY_HAND: [(&str, &str, &str); 34] = [
    ("cluster.md", "docker compose", "it needs Docker"),
    (
        "conformance.md",
        "fanfare conformance http",
        "each takes a minute; crates/conformance runs them",
    ),
    ("from-fastapi.md", "fanfare --listen", "it starts the hub that the others speak to"),
    ("install.md", "scripts/package ", "scripts/test-packages runs it"),
    ("install.md", "fanfare", "it starts the hub that the others speak to"),
    ("install.md", "sudo editor", "it needs systemd, and somebody who edits"),
    ("install.md", "sudo install", "it needs systemd"),
    ("install.md", "cargo install", "it builds the program once more"),
    ("install.md", "docker build", "it needs Docker"),
    ("install.md", "docker cp", "it needs Docker"),
    ("kubernetes.md", "docker build", "it needs Docker"),
    ("kubernetes.md", "helm template", "what is left out is the reader's"),
    (
        "live-upgrade.md",
        "fanfare upgrade --check",
        "what follows it is run, and ends what it leaves",
    ),
    ("mercure.md", "fanfare --mercure", "it starts the hub that the others speak to"),
    ("security.md", "openssl rand", "it starts the hub that the others speak to"),
    ("security.md", "openssl rand -hex 32 > secret.new", "what is left out is the reader's"),
    ("security.md", "fanfare --listen 0.0.0.0:443", "it needs a domain"),
    ("sizing.md", "fanfare bench --idle", "it needs 15,000 sockets at each end"),
    ("sizing.md", "bench/million", "it measures for minutes"),
    ("testing.md", "scripts/simulate", "it runs for minutes"),
    ("testing.md", "scripts/rig", "it runs for minutes"),
    ("testing.md", "scripts/test-upgrade-versions", "it builds an older program"),
    ("testing.md", "scripts/upgrades", "it runs for minutes"),
    ("testing.md", "scripts/mutations", "it runs for an hour"),
    ("tour.md", "fanfare", "it starts the hub that the others speak to"),
    ("clients.md", "// vite.config.js", "scripts/test-toolchains runs Vite with it"),
    ("recipes/README.md", "fanfare", "it starts the hub that the others speak to"),
    (
        "recipes/laravel.md",
        "php artisan",
        "the application is the reader's: one of the test's own takes its place",
    ),
    ("recipes/mercure.md", "fanfare --mercure", "its host is the reader's"),
    ("recipes/mercure.md", "MERCURE_URL=", "Debian does not package Symfony's bundle"),
    ("recipes/mercure.md", "public function ship", "Debian does not package Symfony's bundle"),
    ("recipes/mercure.md", "public function show", "Debian does not package Symfony's bundle"),
    ("recipes/mercure.md", "#[ApiResource", "Debian does not package API Platform"),
    ("recipes/mercure.md", "php artisan", "its application is served by PHP's own server"),
];

#[test]
fn every_command_of_a_guide_is_run() {
    let readme = fs::read_to_string(guides().join(CLIENTS_JS)).unwrap();
    let mut guides = pages(&guides());
    guides.extend(
        pages(&self::guides().join("recipes"))
            .into_iter()
            .map(|(name, text)| (format!("recipes/{name}"), text)),
    );
    guides.push((CLIENTS_JS.to_owned(), readme));
    let mut listed = BY_HAND.to_vec();
    for (guide, text) in guides {
        let run: Vec<_> = blocks(&text).into_iter().filter_map(Block::script).collect();
        for (info, block) in unmarked(&text) {
            let language = info.split(' ').next().unwrap_or_default();
            let is_run = ELSEWHERE.iter().any(|elsewhere| info.starts_with(elsewhere))
                || run.iter().any(|script| holds(script, &block));
            if is_run || !RUNNABLE.contains(&language) {
                continue;
            }
            let place =
                listed.iter().position(|(of, begins, _)| *of == guide && block.starts_with(begins));
            assert!(place.is_some(), "nobody runs this of {guide}, mark it `test`:\n{block}");
            place.map(|place| listed.swap_remove(place));
        }
    }
    assert!(listed.is_empty(), "these are not there any more, or are run: {listed:?}");
}

/// The blocks that are not marked: their info, and what is in them without its indentation.
fn unmarked(guide: &str) -> Vec<(String, String)> {
    let mut lines = guide.lines();
    let mut unmarked = Vec::new();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim().strip_prefix("```") else { continue };
        let block: Vec<_> =
            lines.by_ref().take_while(|line| line.trim() != "```").map(str::trim).collect();
        if info.split(' ').nth(1) != Some("test") {
            unmarked.push((info.to_owned(), block.join("\n")));
        }
    }
    unmarked
}

/// Whether a script that is run has each line of a block that is not.
fn holds(script: &str, block: &str) -> bool {
    block.lines().all(|wanted| script.lines().any(|line| line.trim() == wanted))
}

#[test]
fn every_recipe_is_run() {
    for entry in fs::read_dir(guides().join("recipes")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || RECIPES.contains(&&*name), "docs/recipes/{name} is not run");
    }
}
