//! What can be wrong with the settings.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Source;
use crate::setting::flag;

/// One mistake: what is wrong, where it was written, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The text is no value of the setting's type.
    #[error("--{} (from {from}): {text:?} is not {noun}: {reason}", flag(setting))]
    Invalid {
        /// The setting, by the name of its field.
        setting: &'static str,
        /// Where the text was written.
        from: Source,
        /// The text.
        text: String,
        /// What it should have been.
        noun: &'static str,
        /// What must be written instead.
        #[source]
        reason: Box<dyn Error + Send + Sync>,
    },
    /// The value is less or more than is allowed.
    #[error("--{} (from {from}): {text} is out of range: allowed is {min} to {max}", flag(setting))]
    OutOfRange {
        /// The setting, by the name of its field.
        setting: &'static str,
        /// Where the value was written.
        from: Source,
        /// The value as written.
        text: String,
        /// The least that is allowed.
        min: &'static str,
        /// The most that is allowed.
        max: &'static str,
    },
    /// The file holds a list or a table where one value belongs.
    #[error("--{} (from {from}): write a plain value, not {found}", flag(setting))]
    Shape {
        /// The setting, by the name of its field.
        setting: &'static str,
        /// Where it was written.
        from: Source,
        /// What was found.
        found: &'static str,
    },
    /// The environment variable is not UTF-8.
    #[error("--{} (from {from}): the value is not UTF-8", flag(setting))]
    NotUnicode {
        /// The setting, by the name of its field.
        setting: &'static str,
        /// The variable.
        from: Source,
    },
    /// A setting that has no default was not given.
    #[error("--{} must be given", flag(setting))]
    Missing {
        /// The setting, by the name of its field.
        setting: &'static str,
    },
    /// Two settings rule each other out.
    #[error("--{} and --{} cannot both be given: leave one out", flag(one), flag(other))]
    Exclusive {
        /// One of them, by the name of its field.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Everyone on the network could publish and listen, and nobody has said so.
    #[error(
        "--listen: on {address} everyone on the network could publish and listen: let in only \
         those with a key (--publish-key, --publish-key-file), or a token (--jwt-secret, \
         --jwt-public-key, --jwks-url), or everyone (--open)"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// Listeners are told apart from publishers, who are not told apart from anybody.
    #[error(
        "--anonymous-subscribe means little where everyone may publish: also give --publish-key, \
         or a key for tokens (--jwt-secret, --jwt-public-key, --jwks-url)"
    )]
    OnlyListeners,
    /// What an interval may grow to is shorter than it is.
    #[error(
        "--heartbeat-max: {max:?} is shorter than --heartbeat, which is {heartbeat:?}: make it longer, or leave it out"
    )]
    HeartbeatShrinks {
        /// How far it may grow.
        max: Duration,
        /// What it is.
        heartbeat: Duration,
    },
    /// Each token may have to be held against every key.
    #[error("--jwt-secret and --jwt-public-key: {keys} keys are given, at most {limit} are tried")]
    TooManyTokenKeys {
        /// How many there are.
        keys: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An issuer's key is not among those that are given.
    #[error(
        "--jwt-issuer-key {bound}: no such key is given: give it by --jwt-public-key, --jwt-secret @FILE, \
         --mercure-publisher-key, --mercure-subscriber-key or --jwks-url too"
    )]
    UnknownIssuerKey {
        /// The issuer, and where its key was said to be.
        bound: String,
    },
    /// The setting is of use only with another, which was not given.
    #[error("--{} requires --{}", flag(given), flag(needs))]
    Alone {
        /// The setting, by the name of its field.
        given: &'static str,
        /// The other.
        needs: &'static str,
    },
    /// The file has a key that no setting has.
    #[error("{path}, line {line}: there is no setting {key:?}: {hint}", path = path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The nearest one, or where to find them.
        hint: String,
    },
    /// The file is not TOML.
    #[error("{}, line {line}, column {column}: this is not TOML: {said}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1. What it holds is not repeated: it may be a secret.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        said: String,
    },
    /// The file cannot be read.
    #[error("cannot read the settings in {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
