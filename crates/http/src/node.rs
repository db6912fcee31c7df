//! This node: how it is told from others, and from itself before a restart.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;

use fanfare_event::Timestamp;
use rustix::system::uname;

/// One run of the program.
#[derive(Debug, Clone)]
pub struct Node {
    /// Of this run alone.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// When it started.
    pub started: Timestamp,
}

/// Eight hexadecimal digits, by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(u32);

impl Node {
    /// Called `name`, else after the machine and the port it listens on.
    pub fn new(name: Option<&str>, address: SocketAddr) -> Self {
        let name = name.map(str::to_owned).unwrap_or_else(|| {
            format!("{}:{}", uname().nodename().to_string_lossy(), address.port())
        });
        // Unlike a subscriber's name, this is no secret: it only must not repeat.
        let id = NodeId(RandomState::new().hash_one(address) as u32);
        Self { id, name, started: Timestamp::now() }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
