//! Why there is no hub.

use std::io;
use std::net::SocketAddr;

use fanfare_cli::Failure;
use fanfare_settings::SettingsError;
use fanfare_tls::TlsError;

use crate::engine::EngineError;
use crate::upgrade::TakeoverError;

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What was typed or configured is wrong.
    #[error("the settings are wrong")]
    Settings(Vec<SettingsError>),
    /// HTTPS cannot be served with the files that were named.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The event log cannot be opened.
    #[error("cannot open the event log: {0}")]
    Log(#[from] EngineError),
    /// The hub that runs cannot be replaced.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// The system refused a thread, a poller, a signal handler.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

impl ServeError {
    /// All that is wrong, in one line.
    pub(crate) fn reasons(&self) -> String {
        match self {
            Self::Settings(errors) => {
                errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            error => error.to_string(),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Settings(errors) => Self::Settings(errors),
            ServeError::Tls(error) => Self::Usage(error.into()),
            error => Self::Serve(error.into()),
        }
    }
}
