//! Which hub, and what to show it: the flags that all clients share.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use fanfare_client::{BearerToken, Client, Deadlines, HubUrl};
use fanfare_files::read_bounded_text;

use super::CommandError;

/// The longest file of a token that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// Which hub, and what to show it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hub")]
pub(super) struct HubArgs {
    /// Address of the hub [default: http://127.0.0.1:8000] [env: FANFARE_URL]
    ///
    /// Its page, with or without the path prefix: http://host:8000 means http://host:8000/sse/. A
    /// hub without a prefix is named by its stream, as in http://host/events.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
}

/// What to show a hub.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hub")]
pub(super) struct TokenArgs {
    /// File that holds the token to show [env: FANFARE_TOKEN holds a token itself]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Token to show; other users of this machine can read it in the list of processes
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
}

impl HubArgs {
    /// The hub.
    pub(super) fn url(&self) -> Result<HubUrl, CommandError> {
        hub_url(self.url.as_deref())
    }

    /// A client of the hub. Nothing is connected yet.
    pub(super) fn client(&self) -> Result<Client, CommandError> {
        Ok(Client::new(self.url()?, self.token()?, Deadlines::default())?)
    }

    /// The token to show, if there is one.
    pub(super) fn token(&self) -> Result<Option<BearerToken>, CommandError> {
        self.token.read()
    }
}

impl TokenArgs {
    /// The token to show, if there is one.
    pub(super) fn read(&self) -> Result<Option<BearerToken>, CommandError> {
        if let Some(path) = &self.token_file {
            let text = read_bounded_text(path, LONGEST_FILE)
                .map_err(|source| CommandError::TokenFile { path: path.clone(), source })?;
            return Ok(Some(BearerToken::parse(&text)?));
        }
        if let Some(text) = &self.token {
            return Ok(Some(BearerToken::parse(text)?));
        }
        let Some(text) = variable("FANFARE_TOKEN")? else { return Ok(None) };
        let token = BearerToken::parse(&text).map_err(|error| CommandError::Environment {
            variable: "FANFARE_TOKEN",
            problem: error.into(),
        })?;
        Ok(Some(token))
    }
}

/// The hub at this address, or at that in the environment, or at its own default.
pub(super) fn hub_url(given: Option<&str>) -> Result<HubUrl, CommandError> {
    let (variable, text) = match given {
        // Not parsed by clap, which would repeat a password that stands in it.
        Some(url) => ("--url", url.to_owned()),
        None => {
            let name = "FANFARE_URL";
            (name, variable(name)?.unwrap_or_else(|| HubUrl::DEFAULT.to_owned()))
        }
    };
    text.parse().map_err(|error: fanfare_client::InvalidHubUrl| CommandError::Environment {
        variable,
        problem: error.into(),
    })
}

/// An empty variable counts as absent, as it does for settings.
pub(super) fn variable(name: &'static str) -> Result<Option<String>, CommandError> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(OsString::into_string).transpose().map_err(|_| CommandError::Environment {
        variable: name,
        problem: "it is not UTF-8".into(),
    })
}
