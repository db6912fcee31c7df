//! This node: how it is told from others, and from itself before a restart.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;

use fanfare_event::Timestamp;
use fanfare_settings::NodeName;
use rustix::system::uname;

/// One run of the program.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Of this run alone.
    pub(crate) id: NodeId,
    /// What people call it.
    pub(crate) name: String,
    /// When it started.
    pub(crate) started: Timestamp,
}

/// Eight hexadecimal digits, by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl Node {
    /// Named as configured, else after the machine and the port it listens on.
    pub(crate) fn new(name: Option<&NodeName>, address: SocketAddr) -> Self {
        let given = name.map(|name| name.as_str().to_owned());
        let name = given.unwrap_or_else(|| {
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
