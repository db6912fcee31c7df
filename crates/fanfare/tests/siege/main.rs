//! A siege: every attack we know of, all at once and without a pause, against a hub that goes on
//! serving a thousand subscribers and their publisher.
//!
//! What must hold, and is asserted: no stream of a regular client is closed or misses an event, no
//! holder of a good key is refused, and resident memory stays below [`MEMORY`]. How long events take is reported,
//! beside what they take while nobody attacks, and left to whoever reads it: `scripts/siege` runs this
//! on a machine that has nothing else to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod attack;
mod attacks;
mod hub;
mod regular_clients;

use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use attack::{Attack, Target};
use hub::Hub;
use regular_clients::RegularClients;

/// How long it lasts, in seconds, where `FANFARE_SIEGE_SECONDS` does not say. (`FANFARE_SIEGE_ATTACKS`
/// names attacks, between commas, where not all are meant.)
const SECONDS: u64 = 10;
/// How many subscribe, and how many events they are sent in a second.
const SUBSCRIBERS: usize = 1_000;
const RATE: u32 = 100;
/// The most memory that the hub may occupy, in bytes. Of its settings, see `hub::SETTINGS`: the window
/// (16 MiB), the log (64 MiB) and bodies and large answers (64 MiB each); 1,500 answers unread at
/// 24 KiB; 4,000 connections at 16 KiB; the rest for the hub itself and what its allocator keeps.
const MEMORY: u64 = 400 << 20;
/// How many source addresses each attack has, and where they begin: 127.0.0.0/8 is all this machine.
const ADDRESSES: u8 = 2;

#[test]
fn clients_do_not_notice_an_attack_on_the_hub() {
    let seconds = std::env::var("FANFARE_SIEGE_SECONDS").ok();
    let seconds = Duration::from_secs(seconds.map_or(SECONDS, |text| text.parse().unwrap()));
    hub::raise_open_files();
    let hub = Hub::start();
    let mut regular = RegularClients::gather(hub.address(), SUBSCRIBERS, RATE);
    let quiet = regular.observe(seconds / 4);

    let attackers = Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(give_way)
        .enable_all()
        .build()
        .unwrap();
    let until = Instant::now() + seconds;
    let only = std::env::var("FANFARE_SIEGE_ATTACKS").ok();
    let is_meant = |name| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    let (mut runs, spent) = (Vec::new(), hub.processor_time());
    for (number, attack) in attacks::all().into_iter().enumerate() {
        if !is_meant(attack.name()) {
            continue;
        }
        let first = 10 + ADDRESSES * u8::try_from(number).unwrap();
        let target = Target::new(hub.address(), first..first + ADDRESSES);
        runs.push(attackers.spawn(async move {
            let (name, runs) = (attack.name(), run_repeatedly(&*attack, &target));
            let _ = timeout(until.saturating_duration_since(Instant::now()), runs).await;
            println!("{name:<24} {}", target.summary());
        }));
    }
    let besieged = regular.observe(seconds);
    let spent = hub.processor_time() - spent;
    for attack in runs {
        attackers.block_on(attack).unwrap();
    }
    attackers.shutdown_timeout(Duration::from_secs(5));
    let peak = hub.peak_memory();
    let account = regular.settle();

    println!("quiet      {quiet}\nbesieged   {besieged}");
    println!("p99 is {:.1} times that of a quiet hub", besieged.p99() / quiet.p99());
    println!("processor  {:.2} of it were the hub's", spent.as_secs_f64() / seconds.as_secs_f64());
    println!("resident   {} MiB at most, of {} MiB allowed", peak >> 20, MEMORY >> 20);
    println!("refused    {}", hub.refusals());
    println!("regular    {account}");
    assert_eq!(account.closed, 0, "streams of regular clients were closed");
    assert_eq!(account.missed, 0, "events did not reach the regular clients");
    assert_eq!(account.refused, 0, "the holder of a good key was refused");
    assert!(peak < MEMORY, "the hub took {peak} bytes");
}

/// Lets every other thread of this machine go before the calling one: what an attacker does at home
/// takes no processor time of the hub's, nor of those who read and publish, so it shall not here.
fn give_way() {
    setpriority_process(None, 19).unwrap();
}

/// Runs an attack again and again.
async fn run_repeatedly(attack: &dyn Attack, target: &Target) {
    loop {
        attack.run(target).await;
        target.count_run();
        // An attack that is repelled at once shall not become one on this machine.
        sleep(Duration::from_millis(10)).await;
    }
}
