//! Lines, taken out of a body as it arrives.
//!
//! What must hold: a line is handed on whole, with its number, however the body was cut; of what has not come to
//! its end, no more is kept than a line may have.

use axum::body::Bytes;
use memchr::memchr;

/// How much room for a line is kept when it has been handed on, in bytes.
const KEPT: usize = 16 * 1024;

/// Takes a body apart at LF.
#[derive(Debug)]
pub(super) struct LineSplitter {
    /// What has come of a line that began in an earlier piece.
    begun: Vec<u8>,
    /// What has come last.
    piece: Bytes,
    /// How many lines were handed on.
    handed: usize,
    limit: usize,
}

/// A line does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong {
    /// How many bytes it may have.
    pub(super) limit: usize,
}

impl LineSplitter {
    /// For lines of at most so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { begun: Vec::new(), piece: Bytes::new(), handed: 0, limit }
    }

    /// Whether all was looked at that has come.
    pub(super) fn has_room(&self) -> bool {
        self.piece.is_empty()
    }

    /// More has come. To be called where there is room.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.piece = piece;
    }

    /// The number of the line that has begun and not ended, if there is one, as far as was looked.
    pub(super) fn partial(&self) -> Option<usize> {
        (!self.begun.is_empty()).then_some(self.handed + 1)
    }

    /// Hands the next line to `each`, without its LF; false: there is none yet. At the body's end, what has come
    /// of a line is one.
    pub(super) fn next(
        &mut self,
        is_end: bool,
        each: impl FnOnce(usize, &[u8]),
    ) -> Result<bool, TooLong> {
        let end = memchr(b'\n', &self.piece);
        let length = end.unwrap_or(self.piece.len());
        if self.begun.len() + length > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        let is_whole = end.is_some() || (is_end && self.begun.len() + length > 0);
        if !is_whole || !self.begun.is_empty() {
            self.begun.extend_from_slice(&self.piece[..length]);
        }
        if is_whole {
            self.handed += 1;
            let line = if self.begun.is_empty() { &self.piece[..length] } else { &self.begun };
            each(self.handed, line);
            self.begun.clear();
            self.begun.shrink_to(KEPT);
        }
        // What is kept of a piece keeps all of it.
        let looked_at = length + usize::from(end.is_some());
        self.piece = if looked_at == self.piece.len() {
            Bytes::new()
        } else {
            bytes_behind(std::mem::take(&mut self.piece), looked_at)
        };
        Ok(is_whole)
    }
}

fn bytes_behind(mut piece: Bytes, count: usize) -> Bytes {
    use bytes::Buf as _;
    piece.advance(count);
    piece
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]], limit: usize) -> Result<Vec<(usize, Vec<u8>)>, TooLong> {
        let mut splitter = LineSplitter::new(limit);
        let mut lines = Vec::new();
        for piece in pieces {
            assert!(splitter.has_room());
            splitter.push(Bytes::copy_from_slice(piece));
            while splitter.next(false, |number, line| lines.push((number, line.to_vec())))? {}
        }
        while splitter.next(true, |number, line| lines.push((number, line.to_vec())))? {}
        Ok(lines)
    }

    #[test]
    fn a_line_without_an_end_is_read_and_an_end_makes_no_line() {
        assert_eq!(split(&[b"a\nb"], 9), Ok(vec![(1, b"a".to_vec()), (2, b"b".to_vec())]));
        assert_eq!(split(&[b"a\n"], 9), Ok(vec![(1, b"a".to_vec())]));
        assert_eq!(split(&[b"\n\n"], 9), Ok(vec![(1, vec![]), (2, vec![])]));
        assert_eq!(split(&[], 9), Ok(vec![]));
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let pieces = [&b"x"[..]; 11];
        assert_eq!(split(&pieces[..10], 10).map(|lines| lines.len()), Ok(1));
        assert_eq!(split(&pieces, 10), Err(TooLong { limit: 10 }));
        assert_eq!(split(&[b"12345678901\n"], 10), Err(TooLong { limit: 10 }));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_where_the_body_is_cut(
            text in "[a\n]{0,40}", cuts in prop::collection::vec(0..40_usize, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            let expected: Vec<_> = (1..).zip(text.split_terminator('\n')).collect();
            let lines = split(&pieces, 100).unwrap();
            let lines: Vec<_> =
                lines.iter().map(|(number, line)| (*number, str::from_utf8(line).unwrap())).collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
