//! A sink that takes what a test says, so many bytes and no more, or fails.

use std::io;
use std::sync::{Arc, Mutex};

use mio::Token;

use crate::sink::{Framing, Piece};

/// Both ends of it: clones share what was taken.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    room: usize,
    broken: bool,
    taken: Vec<u8>,
    token: Option<Token>,
}

impl Script {
    /// Takes so many bytes more before it is full.
    pub(crate) fn make_room(&self, bytes: usize) {
        let mut state = self.0.lock().unwrap();
        state.room = state.room.saturating_add(bytes);
    }

    /// Fails from now on.
    pub(crate) fn break_off(&self) {
        self.0.lock().unwrap().broken = true;
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.0.lock().unwrap().broken
    }

    /// What has been taken since this was last asked.
    pub(crate) fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap().taken)
    }

    /// The name of its subscriber, once that has joined.
    pub(crate) fn token(&self) -> Option<Token> {
        self.0.lock().unwrap().token
    }

    /// Whether the other end is gone.
    pub(crate) fn is_closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn name(&self, token: Token) {
        self.0.lock().unwrap().token = Some(token);
    }

    pub(crate) fn write(&self, pieces: &[Piece<'_>], framing: Framing) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        if state.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        assert!(!pieces.is_empty(), "a system call for nothing");
        let offered: Vec<u8> =
            pieces.iter().flat_map(|piece| piece.as_slice(framing)).copied().collect();
        let written = offered.len().min(state.room);
        state.room -= written;
        state.taken.extend_from_slice(&offered[..written]);
        Ok(written)
    }
}
