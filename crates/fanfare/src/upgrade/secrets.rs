//! Secrets: what is needed to go on sealing streams over TLS, as a section of the sealed file.
//!
//! What must hold: on either side it is in one piece of memory beside the streams', which is overwritten as soon as it
//! has been written or read; each state is its own stream's, and nobody else's; and where the other process speaks a
//! format without it, no such stream is among those that move.

use std::collections::VecDeque;

use fanfare_delivery::{Detached, Movable, TlsState};
use fanfare_handover::{Malformed, Manifest, Reader, Writer};
use zeroize::Zeroizing;

use super::received_state_error::ReceivedStateError;

/// The states of streams over TLS: of those of both, counted through, in their order.
const TLS: &str = "tls";
/// The first format with streams over TLS.
const WITH_TLS: u16 = 2;

/// Which streams can be handed over in this format.
pub(super) fn movable(format: u16) -> Movable {
    if format >= WITH_TLS { Movable::Secured } else { Movable::ClearText }
}

/// The section of streams over TLS, in a format that has it.
pub(super) fn secrets(
    format: u16,
    streams: [&[Detached]; 2],
) -> Option<(&'static str, Zeroizing<Vec<u8>>)> {
    if format < WITH_TLS {
        return None;
    }
    let all = streams.into_iter().flatten().enumerate();
    let states: Vec<_> =
        all.filter_map(|(number, stream)| Some((number, stream.connection.tls()?))).collect();
    let each = states.iter().map(|(_, state)| size_of::<u64>() + state.record_length());
    // Room for all, so that no copy is left behind where there was less.
    let length = size_of::<u64>() + each.sum::<usize>();
    let mut written = Writer::with_capacity(length);
    written.count(states.len());
    for (number, state) in states {
        written.count(number);
        state.write(&mut written);
    }
    let written = Zeroizing::new(written.finish());
    debug_assert!(written.len() == length, "as many bytes as there was room for");
    Some((TLS, written))
}

/// The states of streams over TLS, to be asked for in turn.
#[derive(Debug)]
pub(super) struct TrafficSecrets {
    /// Boxed, so that no secret is copied where they are moved.
    states: VecDeque<(u64, Box<TlsState>)>,
    /// The number of the stream that is next.
    next: u64,
}

impl TrafficSecrets {
    /// Of what was handed over in this format.
    pub(super) fn take(format: u16, manifest: &mut Manifest) -> Result<Self, ReceivedStateError> {
        if format < WITH_TLS {
            return Ok(Self { states: VecDeque::new(), next: 0 });
        }
        Ok(Self::read(&manifest.take_secret(TLS)?)?)
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let states = reader.list(|reader| {
            Ok::<_, Malformed>((reader.u64()?, Box::new(TlsState::read(reader)?)))
        })?;
        reader.end()?;
        if !states.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Err(Malformed("a stream has two TLS states"));
        }
        Ok(Self { states: states.into(), next: 0 })
    }

    /// That of the next stream, if it is over TLS.
    pub(super) fn of_next(&mut self) -> Option<Box<TlsState>> {
        let is_its = self.states.front().is_some_and(|(number, _)| *number == self.next);
        self.next += 1;
        if is_its { self.states.pop_front().map(|(_, state)| state) } else { None }
    }

    /// None may be left.
    pub(super) fn end(self) -> Result<(), ReceivedStateError> {
        if self.states.is_empty() {
            return Ok(());
        }
        Err(Malformed("there are TLS states of nobody").into())
    }
}
