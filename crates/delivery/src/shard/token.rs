//! A token: how the poller and the index name a subscriber.
//!
//! It is a slab entry and the generation of who is in it, so that word of someone who has left is
//! not taken for that of a successor.

use mio::Token;

pub(crate) fn token(entry: usize, generation: u32) -> Token {
    Token((generation as usize) << 32 | entry)
}

pub(crate) fn entry(token: Token) -> usize {
    token.0 & 0xffff_ffff
}

pub(crate) fn generation(token: Token) -> u32 {
    (token.0 >> 32) as u32
}
