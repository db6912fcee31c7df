//! The received state: what the old process has handed over, as the new one reads it, section by section.
//!
//! What must hold: to read it changes nothing that others could see; and what is left over when all has been read is an
//! error, before anything is committed.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use fanfare_delivery::{Connection, Retry, Seat, Subscription, UnreadableSubscription, Vocabulary};
use fanfare_handover::{Malformed, Manifest, Reader, StateFileError};
use fanfare_http::{ParkedConnection, Presence};
use fanfare_memory::MemoryState;

use super::format::Format;
use super::progress::UpgradeProgress;
use super::secrets::TrafficSecrets;
use super::sections::{CONNECTIONS, PRESENCE, UPGRADE};
use crate::hub_state::{HubState, HubStateError};

/// What was received.
#[derive(Debug)]
pub(crate) struct ReceivedState {
    /// In this format.
    pub(super) format: Format,
    /// What of a log in memory was received before.
    pub(super) ahead: Option<MemoryState>,
    pub(super) manifest: Manifest,
    /// The state's first, then the streams' connections, then those between requests.
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Why what was handed over cannot be made a hub of.
#[derive(Debug, thiserror::Error)]
pub enum ReceivedStateError {
    /// The sealed file is not what it should be.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// A section is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A stream cannot be read.
    #[error(transparent)]
    Subscription(#[from] UnreadableSubscription),
    /// The state of the hub cannot be gone on with.
    #[error(transparent)]
    Hub(#[from] HubStateError),
}

impl ReceivedState {
    /// The states of streams over TLS; to be asked for before the streams.
    pub(super) fn secrets(&mut self) -> Result<TrafficSecrets, ReceivedStateError> {
        Ok(TrafficSecrets::take(self.format, &mut self.manifest)?)
    }

    /// Takes in which subscriptions are active. Of so many streams of the hub, returns for each the seat of its
    /// subscriber, if that one is listed.
    pub(super) fn presence(
        &mut self,
        presence: Option<&Presence>,
        streams: usize,
    ) -> Result<Vec<Option<Seat>>, ReceivedStateError> {
        let mut seats: Vec<_> = (0..streams).map(|_| None).collect();
        if !self.format.has_presence() {
            return Ok(seats);
        }
        let bytes = self.manifest.take(PRESENCE)?;
        let mut reader = Reader::new(&bytes);
        let board = reader.option(|reader| reader.bytes())?;
        let names = reader.list(|reader| {
            let number = usize::try_from(reader.u64()?).ok().filter(|number| *number < streams);
            let number = number.ok_or(Malformed("a listed subscriber has no stream"))?;
            Ok::<_, Malformed>((number, reader.u128()?))
        })?;
        reader.end()?;
        // Where subscriptions are no longer published, they are not listed either.
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

    /// The streams of one of [`STREAMS`](super::sections::STREAMS), each with its connection; to be asked for in turn.
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

    /// The state of the hub; to be asked for before the streams.
    pub(crate) fn state(&mut self) -> Result<HubState, ReceivedStateError> {
        let ahead = self.ahead.take();
        Ok(HubState::import(ahead, &mut self.manifest, &mut self.descriptors)?)
    }

    /// The connections between requests; to be asked for after the streams.
    pub(super) fn parked(&mut self) -> Result<Vec<ParkedConnection>, ReceivedStateError> {
        let bytes = self.manifest.take(CONNECTIONS)?;
        let mut reader = Reader::new(&bytes);
        let parked = reader.list(|reader| {
            let address: Result<SocketAddr, _> = reader.text()?.parse();
            let address = address.map_err(|_| Malformed("an address is not valid"))?;
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
    pub(super) fn progress(&mut self) -> Result<UpgradeProgress, ReceivedStateError> {
        let bytes = self.manifest.take(UPGRADE)?;
        let mut reader = Reader::new(&bytes);
        let progress = UpgradeProgress::read(&mut reader)?;
        reader.end()?;
        Ok(progress)
    }

    /// Nothing may be left over.
    pub(super) fn end(self) -> Result<(), ReceivedStateError> {
        if !self.descriptors.is_empty() {
            return Err(Malformed("a connection belongs to no stream").into());
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
