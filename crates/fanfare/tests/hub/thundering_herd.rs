//! A node dies, and all its clients come to another at once: the other serves them from its window,
//! and Redis hears nothing of it.

use std::thread;
use std::time::Instant;

use fanfare_testkit::RedisServer;
use rustix::process::{Resource, Signal, getrlimit};

use crate::support::{Setup, Subscriber, raise_open_files};

/// How many clients come, where so many files may be open.
const HERD: usize = 5_000;
/// How many commands Redis may be sent because of them, together.
const MOST: i64 = 100;
/// How many a second two nodes send in any case, to read on and to see that Redis is still the same;
/// also those that scripts call count.
const IDLE: u64 = 20;

#[test]
fn reconnecting_clients_spare_redis() {
    raise_open_files();
    // Other tests open files too, in this process.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let herd = HERD.min(usize::try_from(files / 2).unwrap_or(HERD));

    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let [mut dying, other] = [(); 2].map(|()| Setup::new(&["--redis", &url]).own_log().start());
    let last = other.publisher().send("seen");
    dying.signal(Signal::KILL);
    dying.wait();
    let missed = other
        .publisher()
        .batch((0..3).map(|n| serde_json::json!({"message": format!("missed {n}")})));
    // The other has heard of it too.
    assert_eq!(other.subscription().after(&last).open().messages(3).len(), 3);

    // The node's own upkeep asks Redis for entries now and then; what it reads for clients it counts.
    let reads = || other.metrics().exact("fanfare_catchup_reads_total");
    assert!(other.metrics().has("fanfare_catchup_reads_total"));
    let read = reads();
    let commands = || redis.info("total_commands_processed").parse::<i64>().unwrap();
    let (before, begun) = (commands(), Instant::now());
    let open = |n: usize| (0..n).map(|_| other.subscription().after(&last).open()).collect();
    let mut streams: Vec<Subscriber> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(herd.div_ceil(8)))).collect();
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
    });
    for stream in &mut streams {
        for id in &missed {
            assert_eq!(&stream.next().id, id);
        }
    }
    let sent = commands() - before;
    let idle = i64::try_from(IDLE * (1 + begun.elapsed().as_secs())).unwrap();
    assert!(sent < MOST + idle, "{sent} commands for {} clients", streams.len());
    // None of them reads what was.
    assert_eq!(reads(), read);
}
