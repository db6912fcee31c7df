//! What is handed over, as sections of the sealed file: streams, connections between requests, the state of
//! the log, and how the upgrade itself is going.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use fanfare_delivery::{Detached, Subscription, UnreadableSubscription, Vocabulary};
use fanfare_handover::{CargoError, Malformed, Manifest, Reader, Writer};
use fanfare_http::ParkedConnection;
use fanfare_log::MemoryState;
use rustix::time::{ClockId, clock_gettime};

use crate::state::{HubState, HubStateError};

/// Of the hub, and of its consoles.
pub(super) const STREAMS: [&str; 2] = ["streams", "consoles"];
const CONNECTIONS: &str = "connections";
const UPGRADE: &str = "upgrade";

/// What was received.
#[derive(Debug)]
pub(crate) struct Inheritance {
    /// What of a log in memory was received before.
    pub(crate) ahead: Option<MemoryState>,
    pub(crate) manifest: Manifest,
    /// The state's first, then the streams' connections, then those between requests.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// How an upgrade is going, which the new process counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpgradeUnderWay {
    /// How many there have been since the hub was started, with this one.
    pub(super) count: u64,
    /// Streams that keep their connections.
    pub(super) moved: u64,
    /// Streams that could not move.
    pub(super) closed: u64,
    /// When the pause began, by the system's monotonic clock, in microseconds.
    pub(super) began: u64,
}

/// The system's monotonic clock, which all processes share, in microseconds.
pub(crate) fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000
}

/// The sections, without those of the state.
pub(super) fn sections(
    streams: [&[Detached]; 2],
    parked: &[ParkedConnection],
    upgrade: &UpgradeUnderWay,
) -> Vec<(&'static str, Vec<u8>)> {
    let written = |streams: &[Detached]| {
        let mut written = Writer::new();
        written.count(streams.len());
        streams.iter().for_each(|stream| stream.subscription.write(&mut written));
        written.finish()
    };
    let mut connections = Writer::new();
    connections.count(parked.len());
    for ParkedConnection { address, read, idle, .. } in parked {
        connections.text(&address.to_string());
        connections.bytes(read);
        connections.flag(*idle);
    }
    let mut going = Writer::new();
    for figure in [upgrade.count, upgrade.moved, upgrade.closed, upgrade.began] {
        going.u64(figure);
    }
    vec![
        (STREAMS[0], written(streams[0])),
        (STREAMS[1], written(streams[1])),
        (CONNECTIONS, connections.finish()),
        (UPGRADE, going.finish()),
    ]
}

impl Inheritance {
    /// The streams of one of [`STREAMS`], each with its connection; to be asked for in turn.
    pub(super) fn streams(
        &mut self,
        of: &'static str,
        vocabulary: &dyn Vocabulary,
    ) -> Result<Vec<(Subscription, OwnedFd)>, InheritanceError> {
        let bytes = self.manifest.take(of)?;
        let mut reader = Reader::new(&bytes);
        let streams = reader.list(|reader| Subscription::read(reader, vocabulary))?;
        reader.end()?;
        let connections = self.connections_of(streams.len())?;
        Ok(streams.into_iter().zip(connections).collect())
    }

    /// The state of the hub; of use before the streams.
    pub(crate) fn state(&mut self) -> Result<HubState, InheritanceError> {
        let ahead = self.ahead.take();
        Ok(HubState::import(ahead, &mut self.manifest, &mut self.descriptors)?)
    }

    /// The connections between requests; of use after the streams.
    pub(crate) fn parked(&mut self) -> Result<Vec<ParkedConnection>, InheritanceError> {
        let bytes = self.manifest.take(CONNECTIONS)?;
        let mut reader = Reader::new(&bytes);
        let parked = reader.list(|reader| {
            let address: Result<SocketAddr, _> = reader.text()?.parse();
            let address = address.map_err(|_| Malformed("an address is none"))?;
            let read = Bytes::copy_from_slice(reader.bytes()?);
            Ok::<_, Malformed>((address, read, reader.flag()?))
        })?;
        reader.end()?;
        let sockets = self.connections_of(parked.len())?;
        let parked = parked.into_iter().zip(sockets);
        let parked = parked.map(|((address, read, idle), socket)| ParkedConnection {
            socket: socket.into(),
            address,
            read,
            idle,
        });
        Ok(parked.collect())
    }

    /// How the upgrade is going.
    pub(crate) fn upgrade(&mut self) -> Result<UpgradeUnderWay, InheritanceError> {
        let bytes = self.manifest.take(UPGRADE)?;
        let mut reader = Reader::new(&bytes);
        let (count, moved) = (reader.u64()?, reader.u64()?);
        let (closed, began) = (reader.u64()?, reader.u64()?);
        reader.end()?;
        Ok(UpgradeUnderWay { count, moved, closed, began })
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), InheritanceError> {
        if !self.descriptors.is_empty() {
            return Err(Malformed("there are connections of nobody").into());
        }
        Ok(self.manifest.end()?)
    }

    fn connections_of(&mut self, count: usize) -> Result<Vec<OwnedFd>, Malformed> {
        if count > self.descriptors.len() {
            return Err(Malformed("a connection is missing"));
        }
        let rest = self.descriptors.split_off(count);
        Ok(std::mem::replace(&mut self.descriptors, rest))
    }
}

/// Why what was handed over cannot be made a hub of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritanceError {
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Subscription(#[from] UnreadableSubscription),
    #[error(transparent)]
    State(#[from] HubStateError),
}
