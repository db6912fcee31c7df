//! What each fault does to a hub.
//!
//! What must hold: a fault ends what it began, so that faults may follow in any order.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::engine::{HubEngine, NAMESPACE, RiggedHub, STARTS};
use crate::fault::Fault;
use crate::fault::Fault::{
    AllKilled, BitFlip, ClockAhead, ClockBack, ColdHerd, CommandForbidden, CutWay, FailingReads,
    FailingSyncs, FailingWrites, Failover, Flushed, FullDisk, KeyDeleted, LostAnswers,
    LostRequests, NodeKilled, NodeRestarted, NodeStopped, OutOfMemory, ReadOnly, RedisClock,
    RedisKilled, RedisStopped, ShortTransfers, SlowReads, SlowSyncs, SlowWay, SlowWrites, WarmHerd,
};
use crate::ledger::{RoundLedger, Wrong};
use crate::preload::ControlSlot;
use crate::redis::{RedisPersistence, RigRedis};

/// Lets a fault happen, all of it.
pub(crate) fn inflict(
    fault: Fault,
    hub: &mut RiggedHub,
    ledger: &RoundLedger,
    random: &mut fastrand::Rng,
) {
    let n = random.usize(..hub.nodes.len());
    let while_ = |random: &mut fastrand::Rng| pause(random, 100..2500);
    match fault {
        NodeKilled => {
            hub.nodes[n].kill();
            pause(random, 1..800);
            start(hub, n, ledger);
        }
        NodeStopped => {
            hub.nodes[n].signal(Signal::STOP);
            while_(random);
            hub.nodes[n].signal(Signal::CONT);
        }
        NodeRestarted => restart(hub, n, ledger),
        SlowReads => {
            disk(hub, random, &[(ControlSlot::ReadDelay, 30_000), (ControlSlot::ReadOneIn, 3)]);
        }
        SlowWrites => disk(hub, random, &[(ControlSlot::WriteDelay, 60_000)]),
        SlowSyncs => disk(hub, random, &[(ControlSlot::SyncDelay, 150_000)]),
        ShortTransfers => disk(hub, random, &[(ControlSlot::Shorten, 1)]),
        FailingReads => {
            disk(hub, random, &[(ControlSlot::ReadError, EIO), (ControlSlot::ReadOneIn, 4)]);
        }
        FailingWrites => {
            disk(hub, random, &[(ControlSlot::WriteError, EIO), (ControlSlot::WriteOneIn, 4)]);
            restart(hub, n, ledger);
        }
        FailingSyncs => {
            disk(hub, random, &[(ControlSlot::SyncError, EIO), (ControlSlot::SyncOneIn, 4)]);
            restart(hub, n, ledger);
        }
        FullDisk => {
            let room = random.i64(0..4000);
            disk(hub, random, &[(ControlSlot::Room, room)]);
            // Some are started anew while the disk is full.
            if random.bool() {
                hub.nodes[n].control.set(ControlSlot::Room, random.i64(0..200));
                hub.nodes[n].kill();
                ledger.starts_by_its_clock();
                let _ = hub.nodes[n].start();
                hub.nodes[n].control.calm();
                if hub.nodes[n].ended().is_some() {
                    start(hub, n, ledger);
                }
            }
        }
        BitFlip => {
            if random.bool() {
                hub.nodes[n].kill();
            } else {
                hub.nodes[n].terminate(TERMINATES);
            }
            flip(hub, ledger, random);
            start(hub, n, ledger);
        }
        ClockAhead | ClockBack => {
            let by = random.i64(1..=3)
                * random.choice([1_000, 60_000, 3_600_000, 86_400_000]).unwrap_or(1);
            let clock = hub.nodes[n].control.get(ControlSlot::Clock);
            let by = if fault == ClockBack { -by } else { by };
            ledger.stepped.store(true, Ordering::Relaxed);
            hub.nodes[n].control.set(ControlSlot::Clock, clock + by);
            if random.bool() {
                restart(hub, n, ledger);
            }
        }
        ColdHerd | WarmHerd => {}
        _ => redis(fault, hub, n, ledger, random),
    }
}

const EIO: i64 = 5;

/// How long a node that is asked to end may take. It drains in half a second.
const TERMINATES: Duration = Duration::from_secs(10);

fn pause(random: &mut fastrand::Rng, millis: std::ops::Range<u64>) {
    thread::sleep(Duration::from_millis(random.u64(millis)));
}

fn disk(hub: &RiggedHub, random: &mut fastrand::Rng, settings: &[(ControlSlot, i64)]) {
    for node in &hub.nodes {
        settings.iter().for_each(|&(slot, value)| node.control.set(slot, value));
    }
    pause(random, 200..2000);
    hub.nodes.iter().for_each(|node| node.control.calm());
}

/// Starts a node. One that finds no Redis, or a slow one, ends and is started again, as whatever
/// looks after it would do.
fn start(hub: &mut RiggedHub, n: usize, ledger: &RoundLedger) {
    let begun = Instant::now();
    if hub.redis.is_none() {
        ledger.starts_by_its_clock();
    }
    while let Err(told) = hub.nodes[n].start() {
        if hub.redis.is_none() || begun.elapsed() > STARTS {
            ledger.wrong(Wrong::Down, 1, || with_events(&told, ledger));
            return;
        }
        ledger.event(format!("node {n} did not start"));
        thread::sleep(Duration::from_millis(200));
    }
}

fn with_events(told: &str, ledger: &RoundLedger) -> String {
    let mut text = told.to_owned();
    for (at, event) in ledger.events() {
        let _ = write!(text, "\n  rig, {at} ms: {event}");
    }
    text
}

fn restart(hub: &mut RiggedHub, n: usize, ledger: &RoundLedger) {
    hub.nodes[n].terminate(TERMINATES);
    start(hub, n, ledger);
}

/// Flips a bit of a file that is large enough to hold events.
fn flip(hub: &RiggedHub, ledger: &RoundLedger, random: &mut fastrand::Rng) {
    let size = |path: &std::path::PathBuf| fs::metadata(path).map_or(0, |file| file.len());
    let files: Vec<_> = hub.files().into_iter().filter(|path| size(path) > 4096).collect();
    let Some(path) = random.choice(&files) else { return };
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return };
    let (at, bit) = (random.u64(..size(path)), random.u8(..8));
    let mut byte = [0];
    if file.read_exact_at(&mut byte, at).is_ok() {
        byte[0] ^= 1 << bit;
        file.write_all_at(&byte, at).expect("the rig may write to its own files");
        ledger.event(format!("bit {bit} of byte {at} in {}", path.display()));
    }
}

/// Commands that a hub may find forbidden.
const COMMANDS: [&str; 9] =
    ["xadd", "xread", "xrange", "xtrim", "rpush", "lrange", "set", "get", "evalsha"];

fn redis(
    fault: Fault,
    hub: &mut RiggedHub,
    n: usize,
    ledger: &RoundLedger,
    random: &mut fastrand::Rng,
) {
    let Some(server) = &mut hub.redis else { return };
    let tell = |told: std::io::Error| ledger.event(format!("Redis: {told}"));
    let ask =
        |server: &RigRedis, words: &[&str]| server.command(words).map_err(tell).unwrap_or_default();
    match fault {
        RedisKilled => {
            // Snapshots are taken long before.
            if random.bool() {
                ask(server, &["SAVE"]);
                pause(random, 50..800);
            }
            server.process.kill();
            pause(random, 1..1500);
            if let Err(told) = server.process.start() {
                ledger.event(told);
            }
        }
        AllKilled => {
            if random.bool() {
                ask(server, &["SAVE"]);
                pause(random, 50..800);
            }
            hub.nodes.iter_mut().for_each(|node| node.kill());
            server.process.kill();
            if let Err(told) = server.process.start() {
                ledger.event(told);
            }
            (0..hub.nodes.len()).for_each(|n| start(hub, n, ledger));
        }
        RedisStopped => {
            server.process.signal(Signal::STOP);
            pause(random, 100..4000);
            server.process.signal(Signal::CONT);
        }
        Failover => {
            let name = format!("redis-{}", ledger.now());
            let replica = RigRedis::start(&name, &hub.place, RedisPersistence::Always);
            let Ok(replica) = replica.map_err(tell) else { return };
            let (host, port) =
                (server.address().ip().to_string(), server.address().port().to_string());
            ask(&replica, &["REPLICAOF", &host, &port]);
            for _ in 0..300 {
                let info = ask(&replica, &["INFO", "replication"]);
                if info.iter().any(|text| text.contains("master_link_status:up")) {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            pause(random, 50..300);
            // From now on the master accepts what the replica never hears.
            ask(&replica, &["REPLICAOF", "NO", "ONE"]);
            if random.bool() {
                pause(random, 1..600);
            }
            hub.ways.iter().for_each(|way| way.redirect_to(replica.address()));
            hub.redis = Some(replica);
        }
        Flushed => drop(ask(server, &["FLUSHALL"])),
        KeyDeleted => {
            let keys = ask(server, &["KEYS", &format!("{{{NAMESPACE}}}:*")]);
            // There may be many keys of publishers, and few others.
            let few: Vec<_> = keys.iter().filter(|key| !key.contains("rig-")).collect();
            let key = if random.u8(..4) > 0 { random.choice(few) } else { random.choice(&keys) };
            if let Some(key) = key {
                ledger.event(format!("DEL {key}"));
                ask(server, &["DEL", key]);
            }
        }
        CommandForbidden => {
            let command = COMMANDS[random.usize(..COMMANDS.len())];
            ledger.event(format!("without {command}"));
            ask(server, &["ACL", "SETUSER", "default", &format!("-{command}")]);
            if random.bool() {
                hub.ways[n].cut();
            }
            pause(random, 100..2500);
            ask(server, &["ACL", "SETUSER", "default", "+@all"]);
        }
        OutOfMemory => {
            ask(server, &["CONFIG", "SET", "maxmemory", "1mb"]);
            if random.bool() {
                hub.ways[n].cut();
            }
            pause(random, 100..2500);
            ask(server, &["CONFIG", "SET", "maxmemory", "0"]);
        }
        ReadOnly => {
            ask(server, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
            if random.bool() {
                hub.ways[n].cut();
            }
            pause(random, 100..2500);
            ask(server, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
        }
        RedisClock => {
            let by = random.i64(-3..=3) * random.choice([1_000, 60_000, 3_600_000]).unwrap_or(1);
            // Where Redis is lost before its first snapshot, with all nodes, only its clock makes the next
            // epoch the later one, and the judge goes by that.
            let by = if hub.engine == HubEngine::Snapshots { by.abs() } else { by };
            let control = &server.process.control;
            control.set(ControlSlot::Clock, control.get(ControlSlot::Clock) + by);
        }
        SlowWay => {
            hub.ways[n].delay(Duration::from_millis(random.u64(5..300)));
            pause(random, 200..2500);
            hub.ways[n].delay(Duration::ZERO);
        }
        CutWay => hub.ways[n].cut(),
        LostRequests | LostAnswers => {
            hub.ways[n].hold_back(fault == LostRequests, fault == LostAnswers);
            pause(random, 100..4000);
            if random.bool() {
                hub.ways[n].cut();
            }
            hub.ways[n].hold_back(false, false);
        }
        _ => {}
    }
}

/// Takes everything out of the hub's way, and sees that all of it runs.
pub(crate) fn clear_faults(hub: &mut RiggedHub, ledger: &RoundLedger) {
    for way in &hub.ways {
        way.delay(Duration::ZERO);
        way.hold_back(false, false);
    }
    if let Some(server) = &mut hub.redis {
        server.process.control.calm();
        server.process.signal(Signal::CONT);
        if (server.process.ended().is_some() || !server.process.is_meant_to_run())
            && let Err(told) = server.process.start()
        {
            ledger.event(told);
        }
    }
    for n in 0..hub.nodes.len() {
        hub.nodes[n].control.calm();
        hub.nodes[n].signal(Signal::CONT);
        look_after(hub, n, ledger);
    }
}

/// A node that ended by itself is a finding, and is started anew.
pub(crate) fn look_after(hub: &mut RiggedHub, n: usize, ledger: &RoundLedger) {
    let node = &mut hub.nodes[n];
    if let Some(status) = node.ended().filter(|_| node.served()) {
        let told = format!("node {n} ended with {status}:\n{}", node.logged());
        ledger.wrong(Wrong::Down, 1, || with_events(&told, ledger));
        start(hub, n, ledger);
    } else if !node.is_meant_to_run() || node.ended().is_some() {
        start(hub, n, ledger);
    }
}
