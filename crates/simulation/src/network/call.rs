//! A call: what a node has sent over one of its connections, on its way there and back.

use std::time::Duration;

use redis::Value;

use super::NetworkState;

/// What was sent, and how far it has come.
pub(super) struct Call {
    pub(super) connection: usize,
    commands: Vec<Vec<Vec<u8>>>,
    pub(super) state: CallState,
    /// Somebody waits for its answers.
    pub(super) is_awaited: bool,
    /// Until when it waits for something new, where it does.
    waits_until: Option<Duration>,
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
    fn waits(&self) -> Option<Duration> {
        let [command] = &self.commands[..] else { return None };
        if !command.first()?.eq_ignore_ascii_case(b"XREAD") {
            return None;
        }
        let block = command.iter().position(|word| word.eq_ignore_ascii_case(b"BLOCK"))?;
        let millis = std::str::from_utf8(command.get(block + 1)?).ok()?.parse().ok()?;
        Some(Duration::from_millis(millis))
    }

    /// Whether by it a node says what it has heard.
    fn is_fence(&self) -> bool {
        let is = |command: &Vec<Vec<u8>>| {
            command.first().is_some_and(|word| word.eq_ignore_ascii_case(b"EVALSHA"))
                && command.get(5).is_some_and(|key| key.ends_with(b":notices"))
        };
        matches!(&self.commands[..], [command] if is(command))
    }
}

impl NetworkState {
    /// One call of a node gets somewhere, one of a reader or another: which, chance decides.
    pub(super) fn go_on(
        &mut self,
        node: usize,
        of_readers: bool,
        now: u64,
        elapsed: Duration,
    ) -> CallProgress {
        if !self.nodes[node].is_reachable {
            return CallProgress::Nothing;
        }
        let its: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, call)| {
                let connection = &self.connections[call.connection];
                let is_done = matches!(call.state, CallState::Answered(_) | CallState::Unanswered);
                connection.node == node && connection.is_readers == of_readers && !is_done
            })
            .map(|(number, _)| *number)
            .collect();
        let first = self.rng.usize(..its.len().max(1));
        for at in 0..its.len() {
            let number = its[(first + at) % its.len()];
            match self.go_on_with(number, now, elapsed) {
                CallProgress::Nothing => {}
                progress => return progress,
            }
        }
        CallProgress::Nothing
    }

    fn go_on_with(&mut self, number: u64, now: u64, elapsed: Duration) -> CallProgress {
        let Some(mut call) = self.calls.remove(&number) else { return CallProgress::Nothing };
        let connection = &mut self.connections[call.connection];
        if !call.is_awaited {
            // It had left before its connection was closed, or it had not.
            if self.rng.bool() {
                self.execute(&call, now);
            }
            return CallProgress::Done;
        }
        if !connection.is_open {
            self.calls.insert(number, call);
            return CallProgress::Nothing;
        }
        let is_readers = connection.is_readers;
        if let CallState::Executed(answers) = &mut call.state {
            call.state = CallState::Answered(std::mem::take(answers));
            self.calls.insert(number, call);
            return CallProgress::Done;
        }
        let waits = call.waits();
        if waits.is_none() && std::mem::take(&mut self.loses_request) {
            self.connections[call.connection].is_open = false;
            return CallProgress::Done;
        }
        let answers = self.execute(&call, now);
        if let Some(waits) = waits
            && answers == [Value::Nil]
        {
            let until = *call.waits_until.get_or_insert(elapsed + waits);
            if elapsed < until {
                self.calls.insert(number, call);
                return CallProgress::Nothing;
            }
        }
        if waits.is_none() && std::mem::take(&mut self.loses_reply) {
            // It breaks, or is silent until somebody loses patience.
            if is_readers || self.rng.bool() {
                self.connections[call.connection].is_open = false;
                return CallProgress::Done;
            }
            call.state = CallState::Unanswered;
            self.calls.insert(number, call);
            return CallProgress::Done;
        }
        let is_late = !is_readers && self.rng.u8(..6) == 0;
        call.state =
            if is_late { CallState::Executed(answers) } else { CallState::Answered(answers) };
        self.calls.insert(number, call);
        if is_late { CallProgress::Half } else { CallProgress::Done }
    }

    fn execute(&mut self, call: &Call, now: u64) -> Vec<Value> {
        let (node, number) = {
            let connection = &self.connections[call.connection];
            (connection.node, connection.server)
        };
        let server = &mut self.servers[number];
        let answers: Vec<_> =
            call.commands.iter().map(|command| server.execute(command, now)).collect();
        let is_state = matches!(&answers[..], [Value::Array(found)] if found.len() == 4);
        if call.is_fence() && is_state && number + 1 == self.servers.len() {
            let talks_to_old = self
                .connections
                .iter()
                .any(|it| it.node == node && it.is_open && it.server != number);
            self.nodes[node].owes_word &= talks_to_old;
        }
        answers
    }
}
