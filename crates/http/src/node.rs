//! This node: how it is told from others, and from itself before a restart.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::str::FromStr;

use fanfare_event::Timestamp;
use fanfare_handover::{Malformed, Reader, Writer};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(u32);

/// A text that is not eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node's id is eight hexadecimal digits")]
pub struct InvalidNodeId;

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

/// What of a node stays the same when another process goes on as it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    id: NodeId,
    started: Timestamp,
}

impl Node {
    /// The same node, in another process, which may call it otherwise.
    #[must_use]
    pub fn resumed(self, identity: &NodeIdentity) -> Self {
        let NodeIdentity { id, started } = *identity;
        Self { id, started, ..self }
    }

    /// What stays the same.
    pub fn identity(&self) -> NodeIdentity {
        NodeIdentity { id: self.id, started: self.started }
    }
}

impl NodeIdentity {
    /// Writes it down.
    pub fn write(&self, writer: &mut Writer) {
        writer.u32(self.id.0);
        writer.u64(self.started.as_millis());
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not what [`NodeIdentity::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { id: NodeId(reader.u32()?), started: Timestamp(reader.u64()?) })
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, InvalidNodeId> {
        let is_plain = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let id = u32::from_str_radix(text, 16).ok().filter(|_| is_plain);
        id.map(Self).ok_or(InvalidNodeId)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}
