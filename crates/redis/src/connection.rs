//! A connection to one server: a real one, or one of a simulation.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, Pipeline, RedisError, Value};

/// Where a simulated hub finds its Redis.
pub trait SimulatedNetwork: Send + Sync + 'static {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// Nobody answers.
    fn connect(&self) -> io::Result<Arc<dyn SimulatedConnection>>;
}

/// A connection that a [`SimulatedNetwork`] has opened.
pub trait SimulatedConnection: Send + Sync + 'static {
    /// Sends commands, each a list of words, and answers all of them at once; an error where the connection
    /// breaks first. What is sent may be carried out although nobody waits any longer.
    fn send(&self, commands: Vec<Vec<Vec<u8>>>) -> CommandAnswers;
}

/// The answers to commands, in their order.
pub type CommandAnswers = Pin<Box<dyn Future<Output = io::Result<Vec<Value>>> + Send>>;

/// Cloning shares it.
#[derive(Clone)]
pub(crate) enum RedisConnection {
    Server(MultiplexedConnection),
    Simulated(Arc<dyn SimulatedConnection>),
}

impl RedisConnection {
    pub(crate) async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(connection) => connection.send_packed_command(command).await,
            Self::Simulated(connection) => {
                let mut answers = connection.send(vec![words(command)]).await?;
                Ok(answers.pop().unwrap_or_default())
            }
        }
    }

    /// Several commands in one round trip.
    pub(crate) async fn send_all(
        &mut self,
        commands: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::Server(connection) => connection.send_packed_commands(commands, 0, count).await,
            Self::Simulated(connection) => {
                Ok(connection.send(commands.cmd_iter().map(words).collect()).await?)
            }
        }
    }
}

fn words(command: &Cmd) -> Vec<Vec<u8>> {
    let word = |argument| match argument {
        Arg::Simple(word) => <[u8]>::to_vec(word),
        // A cursor that begins; the engine has none.
        _ => b"0".to_vec(),
    };
    command.args_iter().map(word).collect()
}
