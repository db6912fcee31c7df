//! Lines: standard input, read as it comes.
//!
//! What must hold: what is there is handed on at once; what is read ahead is bounded, because the
//! thread that reads waits until the publisher has taken what it read before.

use std::io::{self, Read};
use std::thread;

use memchr::memchr;
use tokio::sync::mpsc;

use crate::commands::CommandError;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// The longest line, in bytes: the longest message a hub can be set to accept.
const LONGEST: usize = 64 * 1024 * 1024;

/// Lines that arrived together, at least one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineBatch {
    /// The number of the first, counted from 1.
    pub(super) first: u64,
    /// Without their ends.
    pub(super) texts: Vec<String>,
    /// How many of them were not UTF-8.
    pub(super) replaced: usize,
}

/// Reads `input` on a thread of its own, in pieces of at most `most` lines.
pub(super) fn read(
    mut input: impl Read + Send + 'static,
    most: usize,
) -> mpsc::Receiver<Result<LineBatch, CommandError>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let mut splitter = Splitter { partial: Vec::new(), next: 1, most };
        let mut chunk = vec![0; CHUNK];
        loop {
            let pieces = match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => splitter.push(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(CommandError::Input(error)),
            };
            let pieces = match pieces {
                Ok(pieces) => pieces,
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            for piece in pieces {
                if sender.blocking_send(Ok(piece)).is_err() {
                    return;
                }
            }
        }
        if let Some(last) = splitter.finish() {
            let _ = sender.blocking_send(Ok(last));
        }
    });
    receiver
}

/// Takes bytes apart at LF; a CR before it belongs to the line's end.
#[derive(Debug)]
struct Splitter {
    partial: Vec<u8>,
    /// The number of the line under way.
    next: u64,
    most: usize,
}

impl Splitter {
    fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<LineBatch>, CommandError> {
        let mut lines = Vec::new();
        while let Some(end) = memchr(b'\n', bytes) {
            self.append(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let mut line = std::mem::take(&mut self.partial);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.add(&mut lines, line);
        }
        self.append(bytes)?;
        Ok(lines)
    }

    /// What stands behind the last LF, if anything does.
    fn finish(mut self) -> Option<LineBatch> {
        let mut lines = Vec::new();
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.add(&mut lines, line);
        }
        lines.pop()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        if self.partial.len() + bytes.len() > LONGEST {
            return Err(CommandError::LineTooLong { line: self.next, limit: LONGEST });
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn add(&mut self, lines: &mut Vec<LineBatch>, line: Vec<u8>) {
        let (text, replaced) = match String::from_utf8(line) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        match lines.last_mut() {
            Some(last) if last.texts.len() < self.most => {
                last.texts.push(text);
                last.replaced += usize::from(replaced);
            }
            _ => lines.push(LineBatch {
                first: self.next,
                texts: vec![text],
                replaced: usize::from(replaced),
            }),
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], most: usize) -> Vec<LineBatch> {
        let mut splitter = Splitter { partial: Vec::new(), next: 1, most };
        let mut pieces: Vec<_> =
            chunks.iter().flat_map(|chunk| splitter.push(chunk).unwrap()).collect();
        pieces.extend(splitter.finish());
        pieces
    }

    fn texts(pieces: &[LineBatch]) -> Vec<&str> {
        pieces.iter().flat_map(|piece| piece.texts.iter().map(String::as_str)).collect()
    }

    #[test]
    fn every_line_is_read_without_its_end() {
        assert_eq!(texts(&split(&[b"a\n\nb\r\nc"], 10)), ["a", "", "b", "c"]);
        assert_eq!(texts(&split(&[b"a\r", b"\nb\n"], 10)), ["a", "b"]);
        assert_eq!(texts(&split(&[b""], 10)), [""; 0]);
    }

    #[test]
    fn no_piece_is_larger_than_the_hub_takes() {
        let pieces = split(&[b"1\n2\n3\n4\n5\n"], 2);
        assert_eq!(pieces.iter().map(|piece| piece.first).collect::<Vec<_>>(), [1, 3, 5]);
        assert!(pieces.iter().all(|piece| piece.texts.len() <= 2));
    }

    #[test]
    fn bytes_that_are_no_text_are_noticed() {
        let pieces = split(&[b"a\xffb\nc\n"], 10);
        assert_eq!((texts(&pieces), pieces[0].replaced), (vec!["a\u{fffd}b", "c"], 1));
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut splitter = Splitter { partial: Vec::new(), next: 1, most: 1 };
        let chunk = vec![b'x'; 1024 * 1024];
        let refused = (0..65).find_map(|_| splitter.push(&chunk).err());
        assert!(matches!(refused, Some(CommandError::LineTooLong { line: 1, .. })));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_where_the_input_is_cut(
            lines in prop::collection::vec("[a-z\u{e9}]{0,5}", 0..20),
            cuts in prop::collection::vec(0..200_usize, 0..10),
            most in 1..5_usize,
        ) {
            let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> =
                cuts.windows(2).map(|cut| &input.as_bytes()[cut[0]..cut[1]]).collect();
            let pieces = split(&chunks, most);
            prop_assert_eq!(texts(&pieces), lines);
            let mut expected = 1;
            for piece in &pieces {
                prop_assert_eq!(piece.first, expected);
                expected += piece.texts.len() as u64;
            }
        }
    }
}
