//! A node's way to its Redis, as the engine sees it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fanfare_redis::{CommandAnswers, SimulatedConnection, SimulatedNetwork};
use redis::Value;

use super::call::{Call, CallState};
use super::{RedisNetwork, ServerConnection, broken};
use crate::node::lock;

/// A node's way.
pub(super) struct NodeLink {
    pub(super) network: Arc<RedisNetwork>,
    pub(super) node: usize,
}

impl SimulatedNetwork for NodeLink {
    fn connect(&self) -> io::Result<Arc<dyn SimulatedConnection>> {
        let mut state = lock(&self.network.state);
        let node = &state.nodes[self.node];
        if !node.is_reachable {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (server, is_readers) = (state.servers.len() - 1, node.is_reading);
        state.connections.push(ServerConnection {
            node: self.node,
            server,
            is_open: true,
            is_readers,
        });
        let number = state.connections.len() - 1;
        Ok(Arc::new(OpenConnection { network: Arc::clone(&self.network), number }))
    }
}

struct OpenConnection {
    network: Arc<RedisNetwork>,
    number: usize,
}

impl SimulatedConnection for OpenConnection {
    fn send(&self, commands: Vec<Vec<Vec<u8>>>) -> CommandAnswers {
        let mut state = lock(&self.network.state);
        let number = state.next_call;
        state.next_call += 1;
        state.calls.insert(number, Call::new(self.number, commands));
        Box::pin(Awaited { network: Arc::clone(&self.network), number })
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        lock(&self.network.state).connections[self.number].is_open = false;
    }
}

/// The answers to a call, when they have come.
struct Awaited {
    network: Arc<RedisNetwork>,
    number: u64,
}

impl Future for Awaited {
    type Output = io::Result<Vec<Value>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.network.state);
        let Some(call) = state.calls.get_mut(&self.number) else {
            return Poll::Ready(Err(broken()));
        };
        if let CallState::Answered(answers) = &mut call.state {
            let answers = std::mem::take(answers);
            state.calls.remove(&self.number);
            return Poll::Ready(Ok(answers));
        }
        let connection = call.connection;
        if !state.connections[connection].is_open {
            return Poll::Ready(Err(broken()));
        }
        Poll::Pending
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut state = lock(&self.network.state);
        match state.calls.get_mut(&self.number) {
            // It may be on its way.
            Some(call) if matches!(call.state, CallState::Sent) => call.is_awaited = false,
            _ => _ = state.calls.remove(&self.number),
        }
    }
}
