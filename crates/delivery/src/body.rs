//! A body: the way to a subscriber whose bytes another protocol layer carries (HTTP/2, TLS).
//!
//! The shard pushes whole buffers in, the protocol's task takes them out. What must hold: it is
//! bounded, and each side tells the other when it can go on or has gone. Where the writer gives up
//! on a reader that does not read, what is waiting is let go of at once: a protocol may keep a
//! blocked reader for as long as the peer likes. What waits already when it is taken out is taken out
//! together; nothing is kept back so that more may come.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::sink_io::{LIKELY_BUFFERS, WriteResult};

/// How much may wait in a body before its subscriber counts as blocked, in bytes.
const CAPACITY: usize = 64 * 1024;
/// How much is taken out together, in bytes: what a frame of HTTP/2 may hold (RFC 9113, 4.2). What is larger
/// by itself, or does not fit whole, is not copied.
const JOINED: usize = 16 * 1024;

/// The shard's end.
pub struct BodyWriter(Arc<BodyPipe>);

/// The protocol's end: yields what is to be sent, in order.
pub struct BodyReader(Arc<BodyPipe>);

/// What a reader tells the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodySignal {
    /// There is room again.
    Room,
    /// The reader is gone.
    Gone,
}

type OnSignal = Arc<dyn Fn(BodySignal) + Send + Sync>;

#[derive(Default)]
struct BodyPipe {
    state: Mutex<PipeState>,
}

#[derive(Default)]
struct PipeState {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// What the reader has taken since the shard last asked, and when it took the last of it.
    taken: u64,
    taken_at: Option<Instant>,
    /// The shard found it full and wants to hear of room.
    blocked: bool,
    finished: bool,
    aborted: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    on_signal: Option<OnSignal>,
}

/// Both ends of a new body.
pub fn body() -> (BodyWriter, BodyReader) {
    let pipe = Arc::new(BodyPipe::default());
    (BodyWriter(Arc::clone(&pipe)), BodyReader(pipe))
}

impl BodyPipe {
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyWriter {
    /// Says whom to tell. Signals from before are told now.
    pub(crate) fn on_signal(&self, tell: OnSignal) {
        let mut state = self.0.lock();
        let gone = state.reader_gone;
        if gone {
            drop(state);
            tell(BodySignal::Gone);
        } else {
            state.on_signal = Some(tell);
        }
    }

    /// Takes as much of `buffers` as there is room for. `None`: the reader is gone.
    pub(crate) fn push(&self, buffers: impl Iterator<Item = Bytes>) -> Option<WriteResult> {
        let mut state = self.0.lock();
        if state.reader_gone {
            return None;
        }
        state.blocked = false;
        let mut taken = 0;
        for mut buffer in buffers {
            let room = CAPACITY - state.bytes;
            state.blocked = room < buffer.len();
            buffer.truncate(room);
            state.bytes += buffer.len();
            taken += buffer.len();
            if !buffer.is_empty() {
                state.waiting.push_back(buffer);
            }
            if state.blocked {
                break;
            }
        }
        let reader = state.reader.take();
        let accepted = WriteResult { bytes: taken, blocked: state.blocked };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Some(accepted)
    }

    /// What the reader has taken since this was last asked, and when the last of it.
    pub(crate) fn taken(&self) -> Option<(u64, Instant)> {
        let mut state = self.0.lock();
        let taken = std::mem::take(&mut state.taken);
        state.taken_at.map(|at| (taken, at))
    }

    /// Ends the body after what is waiting.
    pub fn finish(&self) {
        self.end(|state| state.finished = true);
    }

    /// Ends the body at once, as an error, and lets go of what was waiting: a protocol whose peer
    /// takes nothing may not ask for it ever again.
    fn abort(&self) {
        self.end(|state| {
            if !state.finished {
                state.aborted = true;
                state.waiting = VecDeque::new();
                state.bytes = 0;
            }
        });
    }

    fn end(&self, how: impl FnOnce(&mut PipeState)) {
        let mut state = self.0.lock();
        how(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.abort();
    }
}

/// The hub broke a body off; the peer was not reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream was broken off")
    }
}

impl std::error::Error for Aborted {}

impl BodyReader {
    /// What is next, of several buffers where they wait already; `None` after the last. `now` is when
    /// it is taken.
    pub fn poll_next(
        &self,
        context: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Option<Result<Bytes, Aborted>>> {
        let mut state = self.0.lock();
        if state.aborted {
            return Poll::Ready(Some(Err(Aborted)));
        }
        let Some(first) = state.waiting.pop_front() else {
            if state.finished {
                return Poll::Ready(None);
            }
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        };
        let mut length = first.len();
        let mut others = SmallVec::<[Bytes; LIKELY_BUFFERS]>::new();
        while let Some(next) = state.waiting.front()
            && length + next.len() <= JOINED
        {
            length += next.len();
            others.extend(state.waiting.pop_front());
        }
        state.bytes -= length;
        state.taken += length as u64;
        state.taken_at = Some(now);
        let room = state.blocked && state.bytes < CAPACITY / 2;
        state.blocked &= !room;
        let tell = state.on_signal.clone().filter(|_| room);
        drop(state);
        if let Some(tell) = tell {
            tell(BodySignal::Room);
        }
        Poll::Ready(Some(Ok(joined(first, &others, length))))
    }
}

/// The same bytes in one buffer of this length.
fn joined(first: Bytes, others: &[Bytes], length: usize) -> Bytes {
    if others.is_empty() {
        return first;
    }
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&first);
    others.iter().for_each(|other| bytes.extend_from_slice(other));
    bytes.into()
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_gone = true;
        state.waiting.clear();
        let tell = state.on_signal.take();
        drop(state);
        if let Some(tell) = tell {
            tell(BodySignal::Gone);
        }
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BodyWriter").field(&self.0.lock().bytes).finish()
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BodyReader").field(&self.0.lock().bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(reader: &BodyReader) -> Poll<Option<Result<Bytes, Aborted>>> {
        reader.poll_next(&mut Context::from_waker(Waker::noop()), Instant::now())
    }

    fn push(writer: &BodyWriter, buffers: &[&Bytes]) -> Option<(usize, bool)> {
        let accepted = writer.push(buffers.iter().copied().cloned());
        accepted.map(|accepted| (accepted.bytes, accepted.blocked))
    }

    fn full() -> (BodyWriter, BodyReader) {
        let (writer, reader) = body();
        let buffer = Bytes::from(vec![b'x'; CAPACITY]);
        assert_eq!(push(&writer, &[&buffer, &buffer]), Some((CAPACITY, true)));
        (writer, reader)
    }

    #[test]
    fn no_more_than_the_capacity_waits_of_one_large_buffer() {
        let (writer, reader) = body();
        let buffer = Bytes::from(vec![b'x'; 3 * CAPACITY]);
        assert_eq!(push(&writer, &[&buffer]), Some((CAPACITY, true)));
        assert_eq!(push(&writer, &[&buffer]), Some((0, true)));
        assert_eq!(next(&reader), Poll::Ready(Some(Ok(buffer.slice(..CAPACITY)))));
        assert_eq!(push(&writer, &[&buffer]), Some((CAPACITY, true)));
    }

    #[test]
    fn a_reader_that_was_given_up_lets_go_of_what_it_never_took() {
        let (writer, reader) = full();
        drop(writer);
        assert_eq!(reader.0.lock().bytes, 0);
        assert_eq!(next(&reader), Poll::Ready(Some(Err(Aborted))));
    }

    #[test]
    fn what_waits_is_taken_out_together_and_in_order_up_to_a_frame() {
        let (writer, reader) = body();
        let mut expected = Vec::new();
        for number in 0..200 {
            let event = Bytes::from(format!("data: {number:0250}\n\n"));
            expected.extend_from_slice(&event);
            assert_eq!(push(&writer, &[&event]), Some((event.len(), false)));
        }
        let mut taken = Vec::new();
        let mut frames = 0;
        while let Poll::Ready(Some(Ok(bytes))) = next(&reader) {
            assert!(bytes.len() <= JOINED, "{} bytes together", bytes.len());
            taken.extend_from_slice(&bytes);
            frames += 1;
        }
        assert_eq!(taken, expected);
        assert_eq!(frames, expected.len().div_ceil(JOINED));
        assert_eq!(writer.taken().map(|(taken, _)| taken), Some(expected.len() as u64));
        assert_eq!(reader.0.lock().bytes, 0);
    }

    #[test]
    fn what_waits_alone_is_taken_out_at_once_and_not_copied() {
        let (writer, reader) = body();
        let event = Bytes::from(vec![b'x'; 100]);
        for _ in 0..3 {
            push(&writer, &[&event]);
            let Poll::Ready(Some(Ok(taken))) = next(&reader) else { panic!("it was kept back") };
            assert_eq!(taken.as_ptr(), event.as_ptr());
        }
        let large = Bytes::from(vec![b'x'; JOINED - 50]);
        push(&writer, &[&large, &event]);
        let Poll::Ready(Some(Ok(taken))) = next(&reader) else { panic!("it was kept back") };
        assert_eq!(taken.as_ptr(), large.as_ptr());
        assert_eq!(next(&reader), Poll::Ready(Some(Ok(event))));
    }

    #[test]
    fn the_last_bytes_of_a_stream_come_before_its_end() {
        let (writer, reader) = body();
        writer.push(std::iter::once(Bytes::from_static(b"last")));
        writer.finish();
        drop(writer);
        assert_eq!(next(&reader), Poll::Ready(Some(Ok(Bytes::from_static(b"last")))));
        assert_eq!(next(&reader), Poll::Ready(None));
    }

    #[test]
    fn a_stream_that_was_finished_ends_in_order_after_its_writer_is_gone() {
        let (writer, reader) = full();
        assert!(matches!(next(&reader), Poll::Ready(Some(Ok(_)))));
        writer.finish();
        drop(writer);
        assert_eq!(next(&reader), Poll::Ready(None));
    }
}
