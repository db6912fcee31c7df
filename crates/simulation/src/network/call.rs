//! A call: what a node has sent over one of its connections, on its way there and back.

use std::time::Duration;

use redis::Value;

/// What was sent, and how far it has come.
pub(super) struct Call {
    pub(super) connection: usize,
    pub(super) commands: Vec<Vec<Vec<u8>>>,
    pub(super) state: CallState,
    /// Somebody waits for its answers.
    pub(super) is_awaited: bool,
    /// Until when it waits for something new, where it does.
    pub(super) waits_until: Option<Duration>,
}

pub(super) enum CallState {
    Sent,
    /// Its answers are on their way.
    Executed(Vec<Value>),
    Answered(Vec<Value>),
    /// They never come.
    Unanswered,
}

/// How far a call has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallProgress {
    /// There is none, or none that can get anywhere.
    Nothing,
    /// It is answered, or it is over.
    Done,
    /// It was carried out, and its answer is late.
    Half,
}

impl Call {
    pub(super) fn new(connection: usize, commands: Vec<Vec<Vec<u8>>>) -> Self {
        let (state, waits_until) = (CallState::Sent, None);
        Self { connection, commands, state, is_awaited: true, waits_until }
    }

    /// For how long it waits at the server if there is nothing new.
    pub(super) fn waits(&self) -> Option<Duration> {
        let [command] = &self.commands[..] else { return None };
        if !command.first()?.eq_ignore_ascii_case(b"XREAD") {
            return None;
        }
        let block = command.iter().position(|word| word.eq_ignore_ascii_case(b"BLOCK"))?;
        let millis = std::str::from_utf8(command.get(block + 1)?).ok()?.parse().ok()?;
        Some(Duration::from_millis(millis))
    }

    /// Whether by it a node says what it has heard.
    pub(super) fn is_fence(&self) -> bool {
        let is = |command: &Vec<Vec<u8>>| {
            command.first().is_some_and(|word| word.eq_ignore_ascii_case(b"EVALSHA"))
                && command.get(5).is_some_and(|key| key.ends_with(b":notices"))
        };
        matches!(&self.commands[..], [command] if is(command))
    }
}
