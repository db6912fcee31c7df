//! The simulated Redis is another one than the real: the same commands and the same scripts, with the same
//! words, are sent to both, and both must say the same.
//!
//! What they may differ in is what time it is, and how they call a script.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use fanfare_simulated_redis::{Persistence, SimulatedRedis};
use fanfare_testkit::RedisServer;
use fastrand::Rng;
use redis::{Connection, Value};

/// How many entries a block of a stream has.
const BLOCK: usize = 4;
const SCRIPTS: [(&str, &str); 9] = [
    ("check", concat!("#!lua flags=no-writes\n", include_str!("../../redis/src/fence.lua"))),
    ("fence", concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/fence.lua"))),
    ("publish", concat!("#!lua\n", include_str!("../../redis/src/publish.lua"))),
    ("expire", concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/expire.lua"))),
    ("forget", concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/forget_ids.lua"))),
    (
        "broadcast",
        concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/broadcast.lua")),
    ),
    (
        "heartbeat",
        concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/heartbeat.lua")),
    ),
    ("deposit", concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/deposit.lua"))),
    ("withdraw", concat!("#!lua flags=allow-oom\n", include_str!("../../redis/src/withdraw.lua"))),
];

/// Both, and what each calls the scripts.
struct Pair {
    real: Connection,
    simulated: SimulatedRedis,
    names: BTreeMap<&'static str, [String; 2]>,
    log: Vec<String>,
}

impl Pair {
    fn new(server: &RedisServer, persistence: Persistence, rng: &mut Rng) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        let mut pair = Self {
            real: client.get_connection().unwrap(),
            simulated: SimulatedRedis::new(persistence, BLOCK, rng),
            names: BTreeMap::new(),
            log: Vec::new(),
        };
        pair.real_answer(&words(&["FLUSHALL"]));
        pair.simulated.identify(&server.info("run_id"), &server.info("master_replid"));
        for (name, script) in SCRIPTS {
            let load = words(&["SCRIPT", "LOAD", script]);
            let both = [pair.real_answer(&load), pair.simulated.execute(&load, 0)];
            pair.names.insert(name, both.map(|hash| redis::from_redis_value(hash).unwrap()));
        }
        pair
    }

    fn real_answer(&mut self, words: &[Vec<u8>]) -> Value {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(&word[..]));
        self.real.send_packed_command(&command.get_packed_command()).unwrap();
        self.real.recv_response().unwrap_or_else(|error| panic!("{error}: {}", self.log.join("\n")))
    }

    /// What both say to a command; they must say the same.
    fn ask(&mut self, command: &[&str]) -> String {
        self.ask_each([command.to_vec(), command.to_vec()])
    }

    fn call(&mut self, script: &str, keys: &[&str], arguments: &[&str]) -> String {
        let names = self.names[script].clone();
        let count = keys.len().to_string();
        let both = names.each_ref().map(|name| {
            [&["EVALSHA", name.as_str(), count.as_str()][..], keys, arguments].concat()
        });
        self.log.push(format!("{script} {keys:?} {arguments:?}"));
        self.ask_each(both)
    }

    fn ask_each(&mut self, [real, simulated]: [Vec<&str>; 2]) -> String {
        self.log.push(format!("{real:?}"));
        let now = self.real_answer(&words(&["TIME"]));
        let [seconds, micros]: [u64; 2] = redis::from_redis_value(now).unwrap();
        let (real, simulated) = (words(&real), words(&simulated));
        // A key that a publish takes back is empty for a millisecond, and whether that has passed is chance.
        let taken_back = |answer: String| if answer == "\"\"" { "nil".to_owned() } else { answer };
        let expected = taken_back(shown(&self.real_answer(&real)));
        let now = seconds * 1000 + micros / 1000;
        let found = taken_back(shown(&self.simulated.execute(&simulated, now)));
        self.log.push(format!("  {expected}"));
        assert_eq!(found, expected, "after:\n{}", self.log.join("\n"));
        expected
    }

    /// Whether they keep the same.
    fn compare(&mut self) {
        for key in ["{s}:events", "{s}:notices"] {
            self.ask(&["XRANGE", key, "-", "+"]);
        }
        // A real server has no order of its own for these.
        self.ask(&["HMGET", "{s}:lineage", "epoch", "seq", "server", "safe", "ancestors"]);
        self.ask(&["HMGET", "{s}:ids", "id0", "id1", "id2", "id3", "id4"]);
        for key in ["{s}:key:0", "{s}:key:1"] {
            self.ask(&["GET", key]);
        }
        for at in ["0", "1", "2", "3"] {
            self.ask(&["LINDEX", "{s}:ids:order", at]);
        }
    }
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// An answer as text, without what time it is and with no more of an error than its code.
fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => format!("{number}"),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::ServerError(error) => format!("error {}", error.code()),
        Value::BulkString(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let mut shown: Vec<_> = Vec::new();
            for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
                let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
                let is_time = digits.len() == 13 && digits.starts_with('1');
                shown.push(if is_time { part.replace(digits, "<ms>") } else { part.to_owned() });
            }
            format!("{:?}", shown.concat())
        }
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(shown).collect();
            format!("[{}]", values.join(" "))
        }
        other => panic!("{other:?}"),
    }
}

/// One random command, or a call of a script, as nodes send them.
fn step(pair: &mut Pair, rng: &mut Rng, epoch: &mut u64) {
    const TOPICS: [&str; 3] = ["a", "b/1", "c"];
    let (events, lineage) = ("{s}:events", "{s}:lineage");
    let always = if pair.simulated.persistence() == Persistence::Always { "always" } else { "" };
    let heard = |rng: &mut Rng, epoch: u64| {
        (0..rng.u8(..3))
            .map(|_| format!("{}-{}", epoch.saturating_sub(rng.u64(..4)), rng.u64(..12)))
            .collect::<Vec<_>>()
    };
    match rng.u8(..40) {
        0..4 => {
            let heard = heard(rng, *epoch);
            let heard = heard.iter().map(String::as_str);
            let arguments: Vec<_> =
                ["check", "6", "2", always, ""].into_iter().chain(heard).collect();
            pair.call("check", &[events, lineage, "{s}:notices"], &arguments);
        }
        4..10 => {
            let name = (*epoch + rng.u64(..3)).to_string();
            let heard = heard(rng, *epoch);
            let heard = heard.iter().map(String::as_str);
            let arguments: Vec<_> =
                [&name, "6", "2", always, ""].into_iter().chain(heard).collect();
            pair.call("fence", &[events, lineage, "{s}:notices"], &arguments);
            *epoch = name.parse().unwrap();
        }
        10..24 => {
            let (key, id) = (format!("{{s}}:key:{}", rng.u8(..2)), format!("p\nid{}", rng.u8(..5)));
            let (is_keyed, is_named) = (rng.u8(..3) == 0, rng.u8(..3) == 0);
            let mut keys = vec![events, lineage];
            keys.extend(is_keyed.then_some(key.as_str()));
            keys.extend(is_named.then_some(["{s}:ids", "{s}:ids:order"]).iter().flatten());
            let epoch = epoch.saturating_sub(rng.u64(..8) / 7).to_string();
            let most = rng.u64(1..30).to_string();
            let mut arguments = vec![epoch.as_str(), "0", &most, "600000", "content"];
            for _ in 0..rng.u8(..4) {
                let event_type = if rng.bool() { "typed" } else { "" };
                let extras = match rng.u8(..3) {
                    0 if is_named => id.as_str(),
                    1 => "\n\nother",
                    _ => "",
                };
                arguments.extend([TOPICS[rng.usize(..3)], event_type, "message", extras]);
            }
            pair.call("publish", &keys, &arguments);
        }
        24 => {
            // Older than any, or none.
            let age = if rng.bool() { "-60000" } else { "3600000" };
            pair.call("expire", &[events], &[age]);
        }
        25..27 => {
            let id = format!("{}-{}", *epoch, rng.u64(..12));
            // From long ago, or by hand.
            pair.ask(&["XADD", events, &id, "a", "5", "t", "a", "m", "old"]);
        }
        27 => _ = pair.call("forget", &[events, "{s}:ids", "{s}:ids:order"], &["2"]),
        28 => {
            let notice = rng.u8(..3).to_string();
            // Its id is the time, so it is not shown; but its words are.
            pair.call("broadcast", &["{s}:n"], &["3", "notice", &notice, "3"]);
            pair.ask(&["XLEN", "{s}:n"]);
        }
        29 => {
            pair.call("deposit", &["{s}:deposit:1"], &["value", "60000"]);
            let who = rng.u8(1..4).to_string();
            pair.call("withdraw", &["{s}:deposit:1"], &[&who]);
            pair.call("withdraw", &["{s}:deposit:1"], &["1"]);
        }
        30 => {
            let node = format!("node {}", rng.u8(..4));
            pair.call("heartbeat", &["{s}:nodes"], &[&node, "line", "60000", "3"]);
        }
        31 => {
            let left = rng.u8(..20).to_string();
            let how = if rng.bool() { "~" } else { "=" };
            pair.ask(&["XTRIM", events, "MAXLEN", how, &left]);
        }
        32 => {
            let id = format!("{}-{}", *epoch, rng.u64(..8));
            pair.ask(&["XTRIM", events, "MINID", if rng.bool() { "~" } else { "=" }, &id]);
        }
        33..37 => {
            let from = format!("({}-{}", epoch.saturating_sub(rng.u64(..3)), rng.u64(..9));
            let until = format!("{}-{}", *epoch, rng.u64(..9));
            let count = rng.u8(1..9).to_string();
            pair.ask(&["XRANGE", events, &from, &until, "COUNT", &count]);
            pair.ask(&["XREVRANGE", events, "+", "-", "COUNT", &count]);
            pair.ask(&["XREAD", "COUNT", &count, "STREAMS", events, "{s}:notices", &until, "0-0"]);
        }
        37 => {
            let keys = [events, lineage, "{s}:ids", "{s}:key:0", "{s}:deposit:1"];
            pair.ask(&["DEL", keys[rng.usize(..5)]]);
        }
        38 => {
            let id = format!("{}-{}", *epoch, rng.u64(..8));
            pair.ask(&["XDEL", events, &id]);
        }
        _ => {
            // Somebody else's key, in our place.
            let (ids, order) = ("{s}:ids", "{s}:ids:order");
            let key = [events, lineage, ids, order][rng.usize(..4)];
            pair.ask(&["DEL", key]);
            pair.ask(&["SET", key, "foreign"]);
            pair.call("publish", &[events, lineage], &["1", "0", "9", "1", "", "a", "", "m", ""]);
            let epoch = epoch.to_string();
            let named = [&epoch, "0", "9", "1", "", "a", "", "m", "\nid0", "a", "", "m", "\nid0"];
            pair.call("publish", &[events, lineage, ids, order], &named);
            pair.call("forget", &[events, ids, order], &["2"]);
            pair.call("fence", &[events, lineage, "{s}:notices"], &["9", "6", "2", "", ""]);
            pair.ask(&["DEL", key]);
        }
    }
}

fn compare_histories(options: &[&str], persistence: Persistence, seeds: std::ops::Range<u64>) {
    let blocks =
        ["--stream-node-max-entries", "4", "--stream-node-max-bytes", "0", "--appendonly", "yes"];
    let server = RedisServer::start(&[&blocks[..], options].concat());
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let mut pair = Pair::new(&server, persistence, &mut rng);
        pair.log.push(format!("seed {seed}"));
        let mut epoch = 10;
        for _ in 0..rng.usize(10..60) {
            step(&mut pair, &mut rng, &mut epoch);
            if rng.u8(..8) == 0 {
                pair.compare();
            }
        }
        pair.compare();
    }
}

#[test]
fn the_simulated_redis_answers_as_the_real_one() {
    compare_histories(&["--appendfsync", "always"], Persistence::Always, 0..60);
}

#[test]
fn a_denied_command_stops_scripts_at_the_same_place() {
    let server = RedisServer::start(&[
        "--stream-node-max-entries",
        "4",
        "--stream-node-max-bytes",
        "0",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]);
    let commands = ["xadd", "hset", "set", "xtrim", "xrange", "hmget", "hget", "rpush", "lpop"];
    for (seed, command) in (0..).zip(commands) {
        let mut rng = Rng::with_seed(1000 + seed);
        let mut pair = Pair::new(&server, Persistence::Always, &mut rng);
        let mut epoch = 10;
        for _ in 0..6 {
            (0..6).for_each(|_| step(&mut pair, &mut rng, &mut epoch));
            pair.log.push(format!("{command} is denied"));
            server.command(&["ACL", "SETUSER", "default", &format!("-{command}")]);
            pair.simulated.deny(Some(command));
            (0..4).for_each(|_| step(&mut pair, &mut rng, &mut epoch));
            server.command(&["ACL", "SETUSER", "default", &format!("+{command}")]);
            pair.simulated.deny(None);
            pair.compare();
        }
    }
}
