//! What is handed over, as sections of the sealed file: streams, connections between requests, the state of
//! the log, and how the upgrade itself is going.
//!
//! Format 2 has two sections more than format 1: the [`super::secrets`] of streams over TLS, and who of Mercure's
//! protocol is listed; and the events of a log in memory came ahead. In format 1 the former do not move, and the
//! latter move and are listed no more.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use fanfare_delivery::{Connection, Detached, Retry, Seat, Subscription, Vocabulary};
use fanfare_handover::{Malformed, Manifest, Reader, Writer};
use fanfare_http::{LastUpgrade, ParkedConnection, Presence};
use fanfare_memory::MemoryState;
use rustix::time::{ClockId, clock_gettime};

use super::received_state_error::ReceivedStateError;
use super::secrets::TrafficSecrets;
use crate::state::HubState;

/// Of the hub, and of its consoles.
pub(super) const STREAMS: [&str; 2] = ["streams", "consoles"];
/// Which subscriptions of Mercure's protocol are active, and whose streams of the hub they are.
const PRESENCE: &str = "presence";
const CONNECTIONS: &str = "connections";
const UPGRADE: &str = "upgrade";

/// The first format with the presence.
const WITH_PRESENCE: u16 = 2;

/// What was received.
#[derive(Debug)]
pub(crate) struct ReceivedState {
    /// In this format.
    pub(crate) format: u16,
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

impl UpgradeUnderWay {
    /// What can be said of it by now.
    pub(super) fn so_far(&self) -> LastUpgrade {
        let Self { count, moved, closed, began } = *self;
        let pause_micros = monotonic_micros().saturating_sub(began);
        LastUpgrade { count, moved, closed, pause_micros }
    }
}

/// The system's monotonic clock, which all processes share, in microseconds.
pub(crate) fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000
}

/// The section of the presence, in a format that has it; of these streams of the hub.
pub(super) fn presence(
    format: u16,
    board: Option<&[u8]>,
    streams: &[Detached],
) -> Option<(&'static str, Vec<u8>)> {
    if format < WITH_PRESENCE {
        return None;
    }
    let mut written = Writer::new();
    written.option(board, Writer::bytes);
    let name = |stream: &Detached| stream.seats.iter().find_map(Seat::name);
    let named = streams.iter().enumerate().filter_map(|(at, stream)| Some((at, name(stream)?)));
    let named: Vec<_> = named.collect();
    written.count(named.len());
    for (number, name) in named {
        written.count(number);
        written.u64((name >> 64) as u64);
        written.u64(name as u64);
    }
    Some((PRESENCE, written.finish()))
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

impl ReceivedState {
    /// The states of streams over TLS; of use before the streams.
    pub(super) fn secrets(&mut self) -> Result<TrafficSecrets, ReceivedStateError> {
        TrafficSecrets::take(self.format, &mut self.manifest)
    }

    /// Takes in which subscriptions are active; the seats of those whose streams are among so many of the hub, each at
    /// its stream's place.
    pub(super) fn presence(
        &mut self,
        presence: Option<&Presence>,
        streams: usize,
    ) -> Result<Vec<Option<Seat>>, ReceivedStateError> {
        let mut seats: Vec<_> = (0..streams).map(|_| None).collect();
        if self.format < WITH_PRESENCE {
            return Ok(seats);
        }
        let bytes = self.manifest.take(PRESENCE)?;
        let mut reader = Reader::new(&bytes);
        let board = reader.option(|reader| reader.bytes())?;
        let names = reader.list(|reader| {
            let number = usize::try_from(reader.u64()?).ok().filter(|number| *number < streams);
            let number = number.ok_or(Malformed("somebody is listed whose stream is missing"))?;
            Ok::<_, Malformed>((
                number,
                u128::from(reader.u64()?) << 64 | u128::from(reader.u64()?),
            ))
        })?;
        reader.end()?;
        // Where nobody is told of subscriptions any more, they are not listed either.
        if let (Some(presence), Some(board)) = (presence, board) {
            let mut reader = Reader::new(board);
            presence.restore(&mut reader)?;
            reader.end()?;
            for (number, name) in names {
                seats[number] = presence.resume(name);
            }
        }
        Ok(seats)
    }

    /// The streams of one of [`STREAMS`], each with its connection; to be asked for in turn.
    pub(super) fn streams(
        &mut self,
        of: &'static str,
        vocabulary: &dyn Vocabulary,
        retry: Retry,
        secrets: &mut TrafficSecrets,
    ) -> Result<Vec<(Subscription, Connection)>, ReceivedStateError> {
        let bytes = self.manifest.take(of)?;
        let mut reader = Reader::new(&bytes);
        let streams = reader.list(|reader| Subscription::read_or_end(reader, vocabulary, retry))?;
        reader.end()?;
        let connections = self.connections_of(streams.len())?.into_iter();
        let connections = connections.map(|socket| Connection::received(socket, secrets.of_next()));
        Ok(streams.into_iter().zip(connections).collect())
    }

    /// The state of the hub; of use before the streams.
    pub(crate) fn state(&mut self) -> Result<HubState, ReceivedStateError> {
        let ahead = self.ahead.take();
        Ok(HubState::import(ahead, &mut self.manifest, &mut self.descriptors)?)
    }

    /// The connections between requests; of use after the streams.
    pub(crate) fn parked(&mut self) -> Result<Vec<ParkedConnection>, ReceivedStateError> {
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
    pub(crate) fn upgrade(&mut self) -> Result<UpgradeUnderWay, ReceivedStateError> {
        let bytes = self.manifest.take(UPGRADE)?;
        let mut reader = Reader::new(&bytes);
        let (count, moved) = (reader.u64()?, reader.u64()?);
        let (closed, began) = (reader.u64()?, reader.u64()?);
        reader.end()?;
        Ok(UpgradeUnderWay { count, moved, closed, began })
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), ReceivedStateError> {
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
