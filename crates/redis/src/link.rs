//! A link: a connection that has been checked and fenced.
//!
//! What must hold: it is used until its first failure, and then thrown away; it never reconnects. What
//! answers after a failure may be another server, or the same without its latest writes, and must be
//! fenced first. A refusal is no failure.

use std::sync::Arc;
use std::time::Duration;

use fanfare_log::Environment;
use redis::{Cmd, Pipeline, Value};
use tokio::time::{Instant, timeout};

use crate::connection::RedisConnection;
use crate::entry::text;
use crate::error::{ConnectError, RedisRequestError};
use crate::keys::Keys;
use crate::scripts::Scripts;
use crate::stream_state::StreamState;

/// A fenced connection to the server that holds the namespace.
pub(crate) struct Link {
    pub(crate) connection: RedisConnection,
    pub(crate) node: String,
    pub(crate) scripts: Scripts,
    pub(crate) keys: Keys,
    pub(crate) response_timeout: Duration,
    /// What the fence found when the connection was opened, or since.
    pub(crate) fenced: StreamState,
    /// As which server it was fenced then, and when.
    pub(crate) fenced_as: Option<(String, Instant)>,
    /// Until the server refuses to say how it is configured.
    pub(crate) may_ask_config: bool,
    /// What epochs are named by, beside the server's clock.
    pub(crate) environment: Arc<dyn Environment>,
}

impl Link {
    /// Not yet prepared, nor fenced.
    pub(crate) fn new(
        connection: RedisConnection,
        node: String,
        keys: Keys,
        response_timeout: Duration,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            connection,
            node,
            scripts: Scripts::default(),
            keys,
            response_timeout,
            fenced: StreamState::UNKNOWN,
            fenced_as: None,
            may_ask_config: true,
            environment,
        }
    }

    /// Checks version and policy, and loads the scripts: one round trip.
    pub(crate) async fn prepare(&mut self) -> Result<(), ConnectError> {
        let mut setup = Pipeline::with_capacity(2 + Scripts::COUNT);
        setup.cmd("INFO").arg("server");
        setup.cmd("INFO").arg("memory");
        Scripts::load(&mut setup);
        let mut answers = self
            .pipeline(&setup, 2 + Scripts::COUNT)
            .await
            .map_err(|error| error.at(&self.node))?
            .into_iter();
        let unexpected = |what| ConnectError::Unexpected { node: self.node.clone(), what };
        let mut info = || match answers.next() {
            Some(Value::ServerError(error)) => {
                Err(RedisRequestError::Refused(error).at(&self.node))
            }
            Some(value) => text(value).ok_or_else(|| unexpected("INFO")),
            None => Err(unexpected("INFO")),
        };
        let (server, memory) = (info()?, info()?);
        let version = info_field(&server, "redis_version").unwrap_or("unknown");
        if !is_new_enough(version) {
            return Err(ConnectError::TooOld {
                node: self.node.clone(),
                found: version.to_owned(),
            });
        }
        let policy = info_field(&memory, "maxmemory_policy").unwrap_or("noeviction");
        if policy != "noeviction" {
            return Err(ConnectError::Evicts {
                node: self.node.clone(),
                policy: policy.to_owned(),
            });
        }
        self.scripts = Scripts::loaded(answers).map_err(|error| error.at(&self.node))?;
        Ok(())
    }

    /// One command, answered within the link's response timeout. After any error but
    /// [`RedisRequestError::Refused`] the link must not be used again.
    pub(crate) async fn request(&mut self, command: &Cmd) -> Result<Value, RedisRequestError> {
        request(&mut self.connection, command, self.response_timeout).await
    }

    /// The same for a command that may take longer.
    pub(crate) async fn request_within(
        &mut self,
        command: &Cmd,
        within: Duration,
    ) -> Result<Value, RedisRequestError> {
        request(&mut self.connection, command, within).await
    }

    /// Several commands in one round trip; refusals are among the values.
    pub(crate) async fn pipeline(
        &mut self,
        commands: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, RedisRequestError> {
        let answering = self.connection.send_all(commands, count);
        let values = match timeout(self.response_timeout, answering).await {
            Ok(answer) => answer.map_err(RedisRequestError::Lost)?,
            Err(_) => return Err(RedisRequestError::Silent(self.response_timeout)),
        };
        if values.len() == count {
            Ok(values)
        } else {
            Err(RedisRequestError::Unexpected("the number of answers to a pipeline"))
        }
    }
}

/// One command on a connection of any kind.
pub(crate) async fn request(
    connection: &mut RedisConnection,
    command: &Cmd,
    within: Duration,
) -> Result<Value, RedisRequestError> {
    match timeout(within, connection.send(command)).await {
        Ok(Ok(Value::ServerError(error))) => Err(RedisRequestError::Refused(error)),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(RedisRequestError::Lost(error)),
        Err(_) => Err(RedisRequestError::Silent(within)),
    }
}

/// The server's clock, in milliseconds since 1970, in an answer to `TIME`.
pub(crate) fn clock(answer: Value) -> Result<u64, RedisRequestError> {
    const UNEXPECTED: RedisRequestError = RedisRequestError::Unexpected("TIME");
    let Value::Array(parts) = answer else { return Err(UNEXPECTED) };
    let mut parts = parts.into_iter().filter_map(|part| text(part)?.parse::<u64>().ok());
    match (parts.next(), parts.next()) {
        (Some(seconds), Some(micros)) => Ok(seconds * 1000 + micros / 1000),
        _ => Err(UNEXPECTED),
    }
}

/// The value of a field in an answer to `INFO`.
pub(crate) fn info_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

/// Whether a `redis_version` has `XADD … <epoch>-*` and script flags: 7.0 and newer.
pub(crate) fn is_new_enough(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_7_are_too_old() {
        assert!(is_new_enough("7.0.15"));
        assert!(is_new_enough("8.2"));
        assert!(!is_new_enough("6.2.14"));
        assert!(!is_new_enough("unknown"));
        assert_eq!(info_field("# A\r\nrun_id:ab\r\nrun_idx:c\r\n", "run_id"), Some("ab"));
    }
}
