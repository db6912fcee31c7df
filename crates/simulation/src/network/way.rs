//! A node's way to its Redis, as the engine sees it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use fanfare_redis::{CommandAnswers, SimulatedConnection, SimulatedNetwork};
use redis::Value;

use super::call::{Call, CallState};
use super::state::{NetworkState, ServerConnection};
use crate::lock::lock;

/// A node's way.
pub(super) struct NodeLink {
    pub(super) state: Arc<Mutex<NetworkState>>,
    pub(super) node: usize,
}

impl SimulatedNetwork for NodeLink {
    fn connect(&self) -> io::Result<Arc<dyn SimulatedConnection>> {
        let mut state = lock(&self.state);
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
        Ok(Arc::new(OpenConnection { state: Arc::clone(&self.state), number }))
    }
}

struct OpenConnection {
    state: Arc<Mutex<NetworkState>>,
    number: usize,
}

impl SimulatedConnection for OpenConnection {
    fn send(&self, commands: Vec<Vec<Vec<u8>>>) -> CommandAnswers {
        let mut state = lock(&self.state);
        let number = state.next_call;
        state.next_call += 1;
        state.calls.insert(number, Call::new(self.number, commands));
        Box::pin(Awaited { state: Arc::clone(&self.state), number })
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        lock(&self.state).connections[self.number].is_open = false;
    }
}

/// The answers to a call, when they have come.
struct Awaited {
    state: Arc<Mutex<NetworkState>>,
    number: u64,
}

impl Future for Awaited {
    type Output = io::Result<Vec<Value>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.state);
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
        let mut state = lock(&self.state);
        match state.calls.get_mut(&self.number) {
            // It may be on its way.
            Some(call) if matches!(call.state, CallState::Sent) => call.is_awaited = false,
            _ => _ = state.calls.remove(&self.number),
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection is broken")
}
