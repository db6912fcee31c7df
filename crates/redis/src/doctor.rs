//! The doctor: what a Redis is like, seen from here, and what to do about it.

use std::time::{Duration, Instant};

use fanfare_event::Timestamp;
use redis::{Cmd, Value};

use crate::connection::RedisConnection;
use crate::dialer::Dialer;
use crate::entry::text;
use crate::error::RedisRequestError;
use crate::link::{clock, info_field, is_new_enough, request};
use crate::{Namespace, RedisSettings, RedisUrl};

/// How often the round trip is measured.
const PINGS: usize = 100;
/// A median round trip above this is worth a word.
const SLOW: Duration = Duration::from_millis(5);
/// A difference of clocks above this is worth a word.
const CLOCK_TOLERANCE_MS: u64 = 1000;

/// One thing the doctor looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was looked at, in a word or two.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, with the value.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do; empty where nothing need be done.
    pub fix: &'static str,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Works, with a risk or a cost that should be chosen knowingly.
    Warning,
    /// The hub will not start or will not keep its promises.
    Problem,
}

/// Examines the Redis that would hold `namespace`. Changes nothing: it asks, and pings a hundred
/// times. Findings are in the order they were looked at.
pub async fn diagnose(url: &RedisUrl, namespace: &Namespace) -> Vec<Diagnosis> {
    let settings = RedisSettings::new(url.clone(), namespace.clone());
    diagnose_with(&settings).await
}

/// The same with a certificate authority or a response timeout of one's own.
pub async fn diagnose_with(settings: &RedisSettings) -> Vec<Diagnosis> {
    let dialer = Dialer::new(settings);
    let (mut connection, node) = match dialer.reach().await {
        Ok(reached) => reached,
        Err(error) => {
            return vec![problem(
                "connection",
                error.to_string(),
                "without a connection there is no event log",
                "check the address, the network, user and password",
            )];
        }
    };
    let mut findings =
        vec![fine("connection", format!("redis at {node} answers"), "publishing needs it")];
    let mut examination = Examination {
        connection: &mut connection,
        response_timeout: settings.response_timeout,
        findings: vec![],
    };
    if let Err(error) = examination.examine().await {
        examination.findings.push(problem(
            "examination",
            format!("the examination ended early: {error}"),
            "what could not be asked could not be judged",
            "allow INFO, TIME and PING to this user, or look at the server's log",
        ));
    }
    findings.append(&mut examination.findings);
    findings
}

struct Examination<'a> {
    connection: &'a mut RedisConnection,
    response_timeout: Duration,
    findings: Vec<Diagnosis>,
}

impl Examination<'_> {
    async fn examine(&mut self) -> Result<(), RedisRequestError> {
        let info = self.ask(redis::cmd("INFO").arg("everything")).await?;
        let info = text(info).ok_or(RedisRequestError::Unexpected("INFO"))?;
        self.findings.push(version(&info));
        self.findings.push(policy(&info));
        self.findings.push(memory(&info));
        let sync = self.append_sync().await;
        self.findings.extend(persistence(&info, sync.as_deref()));
        self.findings.extend(replication(&info));
        self.clock().await?;
        self.latency().await
    }

    async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisRequestError> {
        request(self.connection, command, self.response_timeout).await
    }

    /// How the append-only file is synced; not every user may ask.
    async fn append_sync(&mut self) -> Option<String> {
        let answer = self.ask(redis::cmd("CONFIG").arg("GET").arg("appendfsync")).await.ok()?;
        let Value::Array(pair) = answer else { return None };
        text(pair.into_iter().nth(1)?)
    }

    async fn clock(&mut self) -> Result<(), RedisRequestError> {
        let there = clock(self.ask(&redis::cmd("TIME")).await?)?;
        let apart = there.abs_diff(Timestamp::now().as_millis());
        const CHECK: &str = "clock";
        let what = format!("clocks differ by {apart} ms");
        let why = "retention by age compares the time of publication with a node's clock";
        self.findings.push(if apart > CLOCK_TOLERANCE_MS {
            warning(CHECK, what, why, "run NTP on the nodes and on the Redis server")
        } else {
            fine(CHECK, what, why)
        });
        Ok(())
    }

    async fn latency(&mut self) -> Result<(), RedisRequestError> {
        const CHECK: &str = "latency";
        let ping = redis::cmd("PING");
        let mut times = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let start = Instant::now();
            self.ask(&ping).await?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let (median, worst) = (times[PINGS / 2], times[PINGS - 1]);
        let what = format!(
            "a round trip takes {} µs (median of {PINGS}; longest {} µs)",
            median.as_micros(),
            worst.as_micros()
        );
        let why = "each publish takes at least one round trip, and its delivery a second";
        self.findings.push(if median > SLOW {
            warning(
                CHECK,
                what,
                why,
                "place the nodes near the Redis server, and look at its SLOWLOG",
            )
        } else {
            fine(CHECK, what, why)
        });
        Ok(())
    }
}

fn version(info: &str) -> Diagnosis {
    const CHECK: &str = "version";
    let version = info_field(info, "redis_version").unwrap_or("unknown");
    let what = format!("Redis {version}");
    let why = "Redis 7.0 gives ids within an epoch and lets a script declare what it may do";
    if is_new_enough(version) {
        fine(CHECK, what, why)
    } else {
        problem(CHECK, what, why, "upgrade Redis to 7.0 or newer")
    }
}

fn policy(info: &str) -> Diagnosis {
    const CHECK: &str = "policy";
    let policy = info_field(info, "maxmemory_policy").unwrap_or("unknown");
    let what = format!("maxmemory-policy {policy}");
    let why = "any other policy may throw away the whole stream, or idempotency keys, silently";
    if policy == "noeviction" {
        fine(CHECK, what, why)
    } else {
        problem(CHECK, what, why, "CONFIG SET maxmemory-policy noeviction, and in redis.conf")
    }
}

fn memory(info: &str) -> Diagnosis {
    const CHECK: &str = "memory";
    let number = |name| info_field(info, name).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let (used, max) = (number("used_memory"), number("maxmemory"));
    let mib = |bytes: u64| bytes >> 20;
    if max == 0 {
        return warning(
            CHECK,
            format!("{} MiB of memory used, no maxmemory", mib(used)),
            "without a limit the kernel ends Redis when the machine's memory is full",
            "set maxmemory above what retention needs; publishes are then refused, reads go on",
        );
    }
    let what = format!("{} of {} MiB of memory used", mib(used), mib(max));
    let why = "when memory is full, publishes are answered with 507 and nothing is lost";
    let used = u128::from(used) * 100 / u128::from(max);
    match used {
        0..75 => fine(CHECK, what, why),
        75..95 => warning(CHECK, what, why, "raise maxmemory or lower retention"),
        _ => problem(CHECK, what, why, "raise maxmemory or lower retention now"),
    }
}

fn persistence(info: &str, sync: Option<&str>) -> Vec<Diagnosis> {
    const CHECK: &str = "persistence";
    let is = |name: &str, value: &str| info_field(info, name) == Some(value);
    let mut findings = vec![if is("aof_enabled", "1") {
        let what = format!("append-only file on, appendfsync {}", sync.unwrap_or("not told"));
        match sync {
            Some("no") => warning(
                CHECK,
                what,
                "a crash of the machine loses what the system had not written yet, up to half a \
                 minute; clients are told of it by a gap",
                "CONFIG SET appendfsync everysec, or always",
            ),
            Some("always") => fine(CHECK, what, "what is acknowledged is on disk"),
            Some(_) => fine(
                CHECK,
                what,
                "a crash of the machine loses two seconds at most with everysec; clients are told \
                 of it by a gap, as of every restart together with all nodes",
            ),
            None => warning(
                CHECK,
                what,
                "where the nodes may not ask, Redis counts as one that can lose writes: a restart \
                 together with all nodes is then a gap for everyone",
                "allow CONFIG GET to this user: ACL SETUSER … +config|get",
            ),
        }
    } else {
        warning(
            CHECK,
            "no append-only file".to_owned(),
            "a crash of Redis loses what was published since the last snapshot; clients are told \
             of it by a gap",
            "CONFIG SET appendonly yes, with appendfsync everysec or always",
        )
    }];
    if is("aof_last_write_status", "err") || is("rdb_last_bgsave_status", "err") {
        findings.push(problem(
            CHECK,
            "the last write to disk failed".to_owned(),
            "Redis refuses publishes (MISCONF) until a write to disk succeeds",
            "free space on the server's disk and look at its log",
        ));
    }
    if is("loading", "1") {
        findings.push(problem(
            CHECK,
            "loading its data from disk".to_owned(),
            "it refuses every command until it has",
            "wait",
        ));
    }
    findings
}

fn replication(info: &str) -> Vec<Diagnosis> {
    const CHECK: &str = "replication";
    let role = info_field(info, "role").unwrap_or("unknown");
    if role != "master" {
        return vec![problem(
            CHECK,
            format!("role {role}"),
            "a replica takes no writes",
            "connect to the master, or by redis+sentinel:// to whichever is",
        )];
    }
    let replicas = info_field(info, "connected_slaves").unwrap_or("0");
    let what = format!("{replicas} replicas");
    if replicas == "0" {
        return vec![warning(
            CHECK,
            what,
            "while this server is away, publishes are answered with 503",
            "add a replica, and Sentinel or Cluster to promote it",
        )];
    }
    let guarded = info_field(info, "min_slaves_good_slaves").is_some();
    let why = "a master cut off from its replicas otherwise acknowledges what a failover loses";
    vec![if guarded {
        fine(CHECK, format!("{what}, min-replicas-to-write set"), why)
    } else {
        warning(
            CHECK,
            format!("{what}, min-replicas-to-write not set"),
            why,
            "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10",
        )
    }]
}

fn fine(check: &'static str, what: String, why: &'static str) -> Diagnosis {
    Diagnosis { check, severity: Severity::Fine, what, why, fix: "" }
}

fn warning(check: &'static str, what: String, why: &'static str, fix: &'static str) -> Diagnosis {
    Diagnosis { check, severity: Severity::Warning, what, why, fix }
}

fn problem(check: &'static str, what: String, why: &'static str, fix: &'static str) -> Diagnosis {
    Diagnosis { check, severity: Severity::Problem, what, why, fix }
}
