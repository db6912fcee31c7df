//! The hub under faults: nodes on one of the engines.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::binary;
use crate::process::{HubProcess, free_address};
use crate::proxy::RedisProxy;
use crate::redis::{RedisPersistence, RigRedis};

/// Where events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HubEngine {
    /// In memory.
    Memory,
    /// On disk, acknowledged once synced.
    Data,
    /// In Redis, which syncs before it answers, one node.
    Redis,
    /// The same with two nodes.
    Cluster,
    /// Two nodes on a Redis that only takes snapshots.
    Snapshots,
}

impl HubEngine {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Memory, Self::Data, Self::Redis, Self::Cluster, Self::Snapshots];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Data => "data",
            Self::Redis => "redis",
            Self::Cluster => "cluster",
            Self::Snapshots => "snapshots",
        }
    }

    /// Whether Redis is behind it.
    pub fn is_redis(self) -> bool {
        matches!(self, Self::Redis | Self::Cluster | Self::Snapshots)
    }

    fn nodes(self) -> usize {
        if matches!(self, Self::Cluster | Self::Snapshots) { 2 } else { 1 }
    }
}

impl fmt::Display for HubEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long a node may find its Redis too slow, and be started again.
pub(crate) const STARTS: Duration = Duration::from_secs(30);

/// The name under which nodes keep events in Redis.
pub const NAMESPACE: &str = "rig";

/// A hub of one or two nodes, and what it stands on.
#[derive(Debug)]
pub struct RiggedHub {
    /// Its engine.
    pub engine: HubEngine,
    /// Its nodes.
    pub nodes: Vec<HubProcess>,
    /// The Redis behind.
    pub redis: Option<RigRedis>,
    /// The way of each node to Redis.
    pub ways: Vec<RedisProxy>,
    /// Where everything is.
    pub place: PathBuf,
}

impl RiggedHub {
    /// Starts one with these settings beside those of the engine.
    pub fn start(engine: HubEngine, settings: &[String], place: &Path) -> io::Result<Self> {
        let persistence = match engine {
            HubEngine::Snapshots => RedisPersistence::Snapshots,
            _ => RedisPersistence::Always,
        };
        let redis =
            engine.is_redis().then(|| RigRedis::start("redis", place, persistence)).transpose()?;
        let mut hub =
            Self { engine, nodes: Vec::new(), redis, ways: Vec::new(), place: place.to_owned() };
        let data = hub.data();
        for n in 0..engine.nodes() {
            let address = free_address();
            let mut arguments = vec!["--listen".to_owned(), address.to_string()];
            arguments.extend(["--retry", "20ms", "--drain", "500ms"].map(str::to_owned));
            if engine == HubEngine::Data {
                arguments.extend(["--data".to_owned(), data.display().to_string()]);
            }
            if let Some(redis) = &hub.redis {
                let way = RedisProxy::to(redis.address())?;
                let url = format!("redis://{}", way.address());
                hub.ways.push(way);
                arguments.extend(["--redis".to_owned(), url]);
                arguments.extend(["--namespace", NAMESPACE].map(str::to_owned));
            }
            arguments.extend(settings.iter().cloned());
            let name = format!("node-{n}");
            let mut node =
                HubProcess::new(&name, binary::fanfare(), arguments, address, place, &data)?;
            let begun = Instant::now();
            // One whose Redis is slow to answer ends, and is started again, as whatever looks after it would do.
            while let Err(told) = node.start() {
                let last = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                if !last.contains("did not answer within") || begun.elapsed() > STARTS {
                    return Err(io::Error::other(told));
                }
                thread::sleep(Duration::from_millis(200));
            }
            hub.nodes.push(node);
        }
        Ok(hub)
    }

    /// The directory of the log on disk.
    pub fn data(&self) -> PathBuf {
        self.place.join("data")
    }

    /// Where clients and publishers go.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(HubProcess::address).collect()
    }

    /// The files that hold events on disk.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data()).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files
    }
}
