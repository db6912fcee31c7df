//! The state of the network: servers, connections to them, and the calls that are on their way.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_simulated_redis::SimulatedRedis;
use fastrand::Rng;
use redis::Value;

use super::call::{Call, CallProgress, CallState};

pub(super) struct NetworkState {
    /// The last is the master; the others live on for those who still talk to them.
    pub(super) servers: Vec<SimulatedRedis>,
    pub(super) nodes: Vec<NodeState>,
    pub(super) connections: Vec<ServerConnection>,
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) next_call: u64,
    pub(super) loses_reply: bool,
    pub(super) loses_request: bool,
    pub(super) rng: Rng,
}

pub(super) struct NodeState {
    pub(super) is_reachable: bool,
    /// Whoever opens a connection now is a reader.
    pub(super) is_reading: bool,
    /// It may know of something that the master has lost, and has not said so.
    pub(super) has_unreported_loss: bool,
}

pub(super) struct ServerConnection {
    pub(super) node: usize,
    pub(super) server: usize,
    pub(super) is_open: bool,
    pub(super) is_readers: bool,
}

impl NetworkState {
    pub(super) fn break_those(&mut self, mut which: impl FnMut(&ServerConnection) -> bool) {
        self.connections.iter_mut().filter(|it| which(it)).for_each(|it| it.is_open = false);
    }

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
            match self.advance_call(number, now, elapsed) {
                CallProgress::Nothing => {}
                progress => return progress,
            }
        }
        CallProgress::Nothing
    }

    fn advance_call(&mut self, number: u64, now: u64, elapsed: Duration) -> CallProgress {
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
        let is_state = matches!(&answers[..], [Value::Array(found)] if found.len() == 5);
        if call.is_fence() && is_state && number + 1 == self.servers.len() {
            let talks_to_old = self
                .connections
                .iter()
                .any(|it| it.node == node && it.is_open && it.server != number);
            self.nodes[node].has_unreported_loss &= talks_to_old;
        }
        answers
    }
}
