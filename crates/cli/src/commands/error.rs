//! Why a command did not do what was asked, and what to do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use fanfare_auth::InvalidCredential;
use fanfare_client::{
    ClientError, InvalidBearerToken, InvalidRetryKey, InvalidSubscribeOptions, PublishError,
    RequestError, SubscribeError,
};
use fanfare_disk::OpenError;
use fanfare_event::InvalidTopic;
#[cfg(feature = "redis")]
use fanfare_redis::InvalidUrl;
use http::StatusCode;

use super::token_fault::TokenFault;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What was given as a topic to publish to is not one.
    #[error("{text:?} is not a topic: {source}")]
    Topic {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        source: InvalidTopic,
    },
    /// A subscription that no hub would grant.
    #[error(transparent)]
    Subscription(#[from] InvalidSubscribeOptions),
    /// A text that is not an idempotency key.
    #[error(transparent)]
    Key(#[from] InvalidRetryKey),
    /// Flags that contradict each other.
    #[error("{0}")]
    Flags(&'static str),
    /// There is no page of it.
    #[error("there is no command `{0}`; `fanfare --help` lists them")]
    NoSuchCommand(String),
    /// A value in the environment, or of a flag, that cannot be used.
    #[error("{variable}: {problem}")]
    Environment {
        /// The variable, or the flag.
        variable: &'static str,
        /// What is wrong with its value, which is not repeated: it may be a secret.
        #[source]
        problem: Box<dyn Error + Send + Sync>,
    },
    /// Not a Redis URL. The text is not repeated: it may hold a password.
    #[cfg(feature = "redis")]
    #[error("--redis: {0}")]
    RedisUrl(#[source] InvalidUrl),
    /// What was given as a token cannot be one.
    #[error(transparent)]
    Token(#[from] InvalidBearerToken),
    /// The secret to sign or verify tokens with cannot be used.
    #[error("the secret for tokens cannot be used: {0}")]
    TokenSecret(#[from] InvalidCredential),
    /// The file of a key to sign or verify tokens with cannot be read.
    #[error("cannot read the key in {}: {source}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no key to sign or verify tokens with.
    #[error("{} holds no {kind} key in PEM that fits: RSA, P-256, P-384 or Ed25519", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Which key: private or public.
        kind: &'static str,
    },
    /// A text in which no token can be read.
    #[error("that is not a JSON Web Token: {0}")]
    NotAToken(&'static str),
    /// A token that no hub would take; what it says has been printed.
    #[error("the token {0}")]
    BadToken(#[source] TokenFault),
    /// A token could not be signed.
    #[error("the token cannot be signed: {0}")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// The file with the token cannot be read.
    #[error("cannot read the token in {}: {source}", .path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A message was not published.
    #[error("not published: {0}")]
    Publish(#[from] PublishError),
    /// A line was not published, and nothing after it.
    #[error("line {line} and the lines after it were not published: {source}")]
    PublishLine {
        /// The line, counted from 1.
        line: u64,
        /// Why.
        source: PublishError,
    },
    /// A line was not published, of those that were on their way.
    #[error("line {line} was not published; later lines may have been: {source}")]
    RefusedLine {
        /// The line, counted from 1.
        line: u64,
        /// Why.
        source: PublishError,
    },
    /// The hub is not ready, or cannot be asked.
    #[error("not ready: {0}")]
    NotReady(#[source] RequestError),
    /// The subscription came to an end of its own.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Input(#[source] io::Error),
    /// A line is longer than any message.
    #[error("line {line} is longer than {limit} bytes, the longest message there can be")]
    LineTooLong {
        /// The line, counted from 1.
        line: u64,
        /// How long it may be.
        limit: usize,
    },
    /// Standard output cannot be written to.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// No hub accepts commands there.
    #[error("no hub accepts commands at {place}: {source}")]
    NoControlSocket {
        /// Where.
        place: String,
        /// What the system said.
        source: io::Error,
    },
    /// The hub goes on as before.
    #[error("not upgraded, the hub goes on as before: {0}")]
    NotUpgraded(String),
    /// The hub has handed over, to a process that has not answered since.
    #[error("the new process has become the hub, but has not answered since: {0}; look at its log")]
    HubLost(String),
    /// Commands run by `--exec` failed; each was reported when it did.
    #[error("commands that failed: {0}")]
    Exec(u64),
    /// The system refused a thread, a poller, a signal handler.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// An event log's directory cannot be read.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// Something is wrong that has been reported already.
    #[error("reported")]
    Reported,
    /// The user wants no more.
    #[error("interrupted")]
    Interrupted,
}

impl CommandError {
    /// 0 for a reader of the output that went away, 1 for what failed, 2 for a usage
    /// error, 130 for an interruption, as shells have it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Topic { .. }
            | Self::Subscription(_)
            | Self::Key(_)
            | Self::Flags(_)
            | Self::NoSuchCommand(_)
            | Self::Environment { .. }
            | Self::Token(_)
            | Self::TokenSecret(_)
            | Self::KeyFile { .. }
            | Self::NoKey { .. }
            | Self::TokenFile { .. } => 2,
            #[cfg(feature = "redis")]
            Self::RedisUrl(_) => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    /// Whether there is something left to say.
    pub fn has_message(&self) -> bool {
        !matches!(self, Self::Interrupted | Self::Reported) && self.exit_code() != 0
    }

    /// What to do about it, where that is known.
    pub fn advice(&self) -> Option<String> {
        let unknown = match self {
            Self::Publish(PublishError::GaveUp { outcome_is_unknown: true, .. }) => {
                Some("whether the hub has accepted it is unknown")
            }
            Self::PublishLine {
                source: PublishError::GaveUp { outcome_is_unknown: true, .. },
                ..
            } => Some("whether the hub has accepted that line is unknown"),
            _ => None,
        };
        let advice = match self {
            Self::Publish(error)
            | Self::PublishLine { source: error, .. }
            | Self::RefusedLine { source: error, .. } => advice(error.request_error()),
            Self::Subscribe(SubscribeError::Refused(error)) | Self::NotReady(error) => {
                advice(error)
            }
            Self::NoControlSocket { .. } => Some(
                "is the hub running, on this machine? name it by --url, --pid or --control-socket"
                    .to_owned(),
            ),
            _ => None,
        };
        match (unknown, advice) {
            (Some(unknown), Some(advice)) => Some(format!("{unknown}; {advice}")),
            (Some(unknown), None) => Some(unknown.to_owned()),
            (None, advice) => advice,
        }
    }
}

/// What to do when an exchange failed.
pub(super) fn advice(error: &RequestError) -> Option<String> {
    let advice = match error {
        RequestError::Certificate { .. } => {
            "if the hub's certificate is your own, name its authority in SSL_CERT_FILE"
        }
        RequestError::Connect { .. } => {
            "is the hub running? start it with `fanfare`, or say where it is with --url"
        }
        RequestError::Refused { answer, .. } => match answer.status {
            StatusCode::UNAUTHORIZED => "give a token with --token-file, --token or FANFARE_TOKEN",
            StatusCode::FORBIDDEN => "the token does not grant this topic; ask for one that does",
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                "is that a hub? with --url name the address of its page, such as http://host/sse/"
            }
            status if status.is_redirection() => "name the address it points to with --url",
            _ => return None,
        },
        RequestError::NotTls { .. } => "write http:// in place of https://",
        RequestError::NotAHub { .. } => {
            "with --url name the address of the hub's page, such as http://host/sse/"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}
