//! A write batch: what one subscriber is offered in one write, and what has become of it.

use std::io;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

use crate::sink::Sink;
use crate::sink_io::{Buffer, Buffers, LIKELY_BUFFERS, WriteResult};
use crate::wire::FramedEvent;

/// What is written at once: what must go out first, then events.
pub(crate) struct WriteBatch<'a> {
    buffers: Buffers<'a>,
    /// Where the slots of the events stand.
    places: SmallVec<[u64; LIKELY_BUFFERS]>,
    /// How many buffers come before the first event, and their bytes.
    lead: usize,
    rest: usize,
    bytes: usize,
}

/// What has become of a batch.
#[derive(Debug)]
pub(crate) struct WriteOutcome {
    pub(crate) bytes: usize,
    /// How many of them were of what had to go out first.
    pub(crate) of_rest: usize,
    /// How many events the sink took whole or in part.
    pub(crate) handed: usize,
    /// The place of the first that it did not take.
    pub(crate) next: Option<u64>,
    /// The rest of one that it took in part.
    pub(crate) begun: Option<Bytes>,
    pub(crate) blocked: bool,
}

impl<'a> WriteBatch<'a> {
    /// A batch that begins with what must go out first.
    pub(crate) fn of(rest: &'a [Bytes]) -> Self {
        let bytes = rest.iter().map(Bytes::len).sum();
        let buffers: Buffers<'a> = rest.iter().map(Buffer::Pending).collect();
        Self { lead: buffers.len(), buffers, places: SmallVec::new(), rest: bytes, bytes }
    }

    pub(crate) fn push(&mut self, event: FramedEvent<'a>, place: u64) {
        self.bytes += event.as_slice().len();
        self.buffers.push(Buffer::Event(event));
        self.places.push(place);
    }

    /// How many buffers it has.
    pub(crate) fn len(&self) -> usize {
        self.buffers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn write(
        self,
        sink: &mut Sink,
        scratch: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<WriteOutcome> {
        let accepted = sink.write(&self.buffers, scratch, now)?;
        let of_rest = accepted.bytes.min(self.rest);
        let (mut left, mut whole, mut begun) = (accepted.bytes - of_rest, 0, None);
        for buffer in &self.buffers[self.lead..] {
            let length = buffer.as_slice().len();
            if left < length {
                begun = (left > 0).then(|| {
                    let mut rest = buffer.share();
                    rest.advance(left);
                    rest
                });
                break;
            }
            left -= length;
            whole += 1;
        }
        let handed = whole + usize::from(begun.is_some());
        let next = self.places.get(handed).copied();
        let WriteResult { bytes, blocked } = accepted;
        Ok(WriteOutcome { bytes, of_rest, handed, next, begun, blocked })
    }
}
