//! An event stream, whole and in pieces.

use fanfare_sse::{EventTooLarge, Parsed, Parser};

const LIMIT: usize = 64;

/// Tries one input.
pub(crate) fn probe(input: &[u8]) {
    let Some((step, stream)) = input.split_first() else { return };
    let whole = parse(std::iter::once(stream));
    let pieces = parse(stream.chunks(usize::from(*step).max(1)));
    assert_eq!(whole, pieces);
    for parsed in &whole.0 {
        if let Parsed::Event(event) = parsed {
            assert!(event.data.len() <= 3 * LIMIT, "U+FFFD is three bytes for one");
        }
    }
}

fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Parsed>, Result<(), EventTooLarge>) {
    let mut parser = Parser::new(LIMIT);
    let mut all = Vec::new();
    for mut piece in pieces {
        loop {
            match parser.next(&mut piece) {
                Ok(Some(parsed)) => all.push(parsed),
                Ok(None) => break,
                Err(error) => return (all, Err(error)),
            }
        }
    }
    (all, Ok(()))
}
