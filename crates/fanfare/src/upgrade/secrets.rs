//! Secrets: what is needed to go on sealing streams over TLS, as a section of the sealed file.
//!
//! What must hold: on either side, the section is in one piece of memory apart from the streams', which is overwritten
//! as soon as it has been written or read; each state goes to its own stream and to no other; and in a format without
//! this section, no such stream moves.

use std::collections::VecDeque;

use fanfare_delivery::{Detached, Movable, TlsState};
use fanfare_handover::{Malformed, Manifest, Reader, StateFileError, Writer};
use zeroize::Zeroizing;

use super::format::Format;

/// The states of streams over TLS. Those of the hub are numbered first, then those of its consoles.
const TLS: &str = "tls";

/// Which streams can be handed over in this format.
pub(super) fn movable(format: Format) -> Movable {
    if format.has_tls() { Movable::Secured } else { Movable::ClearText }
}

/// The section of streams over TLS, in a format that has it.
pub(super) fn secrets(
    format: Format,
    streams: [&[Detached]; 2],
) -> Option<(&'static str, Zeroizing<Vec<u8>>)> {
    if !format.has_tls() {
        return None;
    }
    let all = streams.into_iter().flatten().enumerate();
    let states: Vec<_> =
        all.filter_map(|(number, stream)| Some((number, stream.connection.tls()?))).collect();
    let each = states.iter().map(|(_, state)| size_of::<u64>() + state.record_length());
    // Room for all of it, so that it is never moved and no copy is left behind.
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
    pub(super) fn take(format: Format, manifest: &mut Manifest) -> Result<Self, StateFileError> {
        if !format.has_tls() {
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

    /// None may be left over.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.states.is_empty() {
            Ok(())
        } else {
            Err(Malformed("a TLS state belongs to no stream"))
        }
    }
}
