//! A server: what it keeps, as which process, and how it fails.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use fastrand::Rng;
use redis::Value;

use crate::commands::Execution;
use crate::database::Database;
use crate::reply::Reply;
use crate::script;

/// How many of its latest states a server could fall back to.
const STATES: usize = 16;

/// Whether a server keeps what it has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It syncs every write before it answers, and has no replica.
    Always,
    /// It syncs now and then, and has a replica, which may lack the latest writes.
    Lax,
}

/// A server. Its caller says what time it is.
#[derive(Debug)]
pub struct SimulatedRedis {
    database: Arc<Database>,
    /// What it kept before each of its latest writes, the latest last.
    before: VecDeque<Arc<Database>>,
    scripts: BTreeMap<String, Arc<str>>,
    persistence: Persistence,
    info: Arc<str>,
    block: usize,
    is_full: bool,
    denied: Option<String>,
}

impl SimulatedRedis {
    /// An empty one, whose streams have blocks of `block` entries (`stream-node-max-entries`).
    pub fn new(persistence: Persistence, block: usize, rng: &mut Rng) -> Self {
        let mut server = Self {
            database: Arc::default(),
            before: VecDeque::new(),
            scripts: BTreeMap::new(),
            persistence,
            info: Arc::from(""),
            block,
            is_full: false,
            denied: None,
        };
        server.renew_ids(rng);
        server
    }

    /// The same keys in another process, which does not know the scripts yet and lacks so many of the last
    /// writes: this server after a restart, or the replica that takes over from it.
    pub fn successor(&self, lost_writes: usize, rng: &mut Rng) -> Self {
        let mut before = self.before.clone();
        let mut database = Arc::clone(&self.database);
        for _ in 0..lost_writes {
            // One that had nothing is no server of this namespace.
            let Some(earlier) = before.pop_back().filter(|it| !it.is_empty()) else { break };
            database = earlier;
        }
        let mut successor = Self::new(self.persistence, self.block, rng);
        (successor.database, successor.before) = (database, before);
        successor
    }

    fn renew_ids(&mut self, rng: &mut Rng) {
        let [process, replication] = [rng.u128(..), rng.u128(..)];
        self.identify(&format!("{process:040x}"), &format!("{replication:040x}"));
    }

    /// Makes it the process of these names (`run_id` and `master_replid`).
    pub fn identify(&mut self, process: &str, replication: &str) {
        let (replicas, log) = match self.persistence {
            Persistence::Always => (0, 1),
            Persistence::Lax => (1, 0),
        };
        self.info = Arc::from(format!(
            "# Server\r\nredis_version:7.0.15\r\nrun_id:{process}\r\n# Memory\r\n\
             maxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:{log}\r\n\
             aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n# Replication\r\nrole:master\r\n\
             connected_slaves:{replicas}\r\nmaster_replid:{replication}\r\nsecond_repl_offset:-1\r\n"
        ));
    }

    /// Whether it keeps what it has acknowledged.
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Lets it have no memory left, or some.
    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// Takes the right to one command away from everyone, which stops scripts in their middle; `None` gives
    /// it back.
    pub fn deny(&mut self, command: Option<&str>) {
        self.denied = command.map(str::to_ascii_lowercase);
    }

    /// Deletes a key, or everything where it has no name. No successor finds it again.
    pub fn delete(&mut self, key: &str, now: u64) {
        let words = if key.is_empty() { vec!["FLUSHALL"] } else { vec!["DEL", key] };
        let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let denied = self.denied.take();
        self.execute(&words, now);
        self.denied = denied;
        self.before.clear();
    }

    /// Carries out one command, `now` being in milliseconds since 1970. Nothing ever waits: where there is
    /// nothing new to read, that is the answer.
    pub fn execute(&mut self, command: &[Vec<u8>], now: u64) -> Value {
        let words: Vec<_> = command.iter().take(3).map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
        let reply = match words[..] {
            [b"script", b"load", _] => self.load(&command[2]),
            [b"config", b"get", _] => self.configuration(),
            [b"evalsha", ..] => self.call_script(&command[1..], now),
            _ => {
                let mut execution = self.execution(now);
                let reply = execution.call(command);
                self.settle(execution);
                reply
            }
        };
        reply.into_value()
    }

    fn load(&mut self, text: &[u8]) -> Reply {
        let mut hasher = DefaultHasher::new();
        hasher.write(text);
        let name = format!("{:040x}", hasher.finish());
        let text = String::from_utf8_lossy(text);
        self.scripts.entry(name.clone()).or_insert_with(|| Arc::from(text.as_ref()));
        Reply::text(name)
    }

    fn configuration(&self) -> Reply {
        let syncs = match self.persistence {
            Persistence::Always => "always",
            Persistence::Lax => "everysec",
        };
        let words = ["appendfsync", syncs, "no-appendfsync-on-rewrite", "no"];
        Reply::Array(words.map(Reply::text).to_vec())
    }

    fn call_script(&mut self, words: &[Vec<u8>], now: u64) -> Reply {
        let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
        let [name, keys, rest @ ..] = words else {
            return Reply::error("ERR wrong number of arguments for 'evalsha' command");
        };
        let keys = text(keys).parse().ok().and_then(|keys: usize| rest.split_at_checked(keys));
        let Some((keys, arguments)) = keys else {
            return Reply::error("ERR Number of keys can't be greater than number of args");
        };
        let Some(script) = self.scripts.get(&text(name)).cloned() else {
            return Reply::error("NOSCRIPT No matching script. Please use EVAL.");
        };
        let flags = script.lines().next().unwrap_or_default();
        let is_read_only = flags.contains("no-writes");
        if self.is_full && !is_read_only && !flags.contains("allow-oom") {
            return Reply::error("OOM command not allowed when used memory > 'maxmemory'.");
        }
        let mut execution = self.execution(now);
        (execution.is_read_only, execution.in_script) = (is_read_only, true);
        let (reply, execution) = script::run(&script, keys, arguments, execution);
        self.settle(execution);
        reply
    }

    fn execution(&self, now: u64) -> Execution {
        Execution {
            database: Arc::clone(&self.database),
            now,
            block: self.block,
            info: Arc::clone(&self.info),
            denied: self.denied.clone(),
            wrote: false,
            is_read_only: false,
            in_script: false,
        }
    }

    fn settle(&mut self, execution: Execution) {
        if execution.wrote {
            self.before.push_back(std::mem::replace(&mut self.database, execution.database));
            if self.before.len() > STATES {
                self.before.pop_front();
            }
        }
    }
}
