//! Which hub the tests run against: the same contract holds for every event log, on one node or
//! several.
//!
//! `FANFARE_TEST_PROFILE` chooses it: `memory` (the default), `data` (on disk), `redis` (one node
//! on a redis-server), `cluster` (two nodes on it: publishers speak to the first, subscribers to
//! each in turn, so that whoever reconnects lands on the other).

use std::env;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_testkit::RedisServer;

/// One for all hubs of a test run, each with a namespace of its own. It trims a few entries at a
/// time where Redis trims a hundred, so that retention can be tested with few events.
static REDIS: LazyLock<RedisServer> =
    LazyLock::new(|| RedisServer::start(&["--stream-node-max-entries", "5"]));

/// What every hub of one test run is started with, beside what a test asks for.
#[derive(Debug)]
pub(super) struct Profile {
    /// How many nodes a hub has.
    pub(super) nodes: usize,
    /// Whether nodes hear of a publish by way of their log, perhaps after its acknowledgement.
    pub(super) echoes: bool,
    pub(super) arguments: Vec<String>,
    place: Place,
}

/// Where a hub's events are; nothing is left of it when the hub is gone.
#[derive(Debug)]
enum Place {
    Memory,
    Directory(PathBuf),
    Namespace(String),
}

impl Profile {
    /// A place of its own, which shares no state with any other.
    pub(super) fn fresh() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "fanfare-test-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        match env::var("FANFARE_TEST_PROFILE").as_deref() {
            Err(_) | Ok("memory") => Self::bare(),
            Ok("data") => {
                let directory = env::temp_dir().join(name);
                let arguments = vec!["--data".to_owned(), directory.display().to_string()];
                Self { arguments, place: Place::Directory(directory), ..Self::bare() }
            }
            Ok(profile @ ("redis" | "cluster")) => {
                let arguments = ["--redis", &REDIS.url(), "--namespace", &name];
                Self {
                    nodes: if profile == "cluster" { 2 } else { 1 },
                    echoes: true,
                    arguments: arguments.map(str::to_owned).to_vec(),
                    place: Place::Namespace(name),
                }
            }
            Ok(unknown) => panic!(
                "FANFARE_TEST_PROFILE is {unknown:?}, not one of: memory, data, redis, cluster"
            ),
        }
    }

    /// One node, and nothing beside what a test asks for.
    pub(super) fn bare() -> Self {
        Self { nodes: 1, echoes: false, arguments: Vec::new(), place: Place::Memory }
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        match &self.place {
            Place::Memory => {}
            Place::Directory(directory) => drop(std::fs::remove_dir_all(directory)),
            Place::Namespace(name) => {
                let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
                              redis.call('UNLINK', key) end";
                let _ = REDIS.attempt(&["EVAL", script, "0", &format!("{{{name}}}:*")]);
            }
        }
    }
}
