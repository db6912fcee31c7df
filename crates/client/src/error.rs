//! Why one exchange with the hub failed.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use rustls::InvalidMessage;

use crate::HubAnswer;

/// Why one exchange with the hub failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no connection: nobody listens there, or the name is unknown.
    #[error("cannot connect to {url}: {reason}")]
    Connect {
        /// What was asked for.
        url: String,
        /// The innermost reason.
        reason: String,
        /// The whole of it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The certificate that is shown there is not accepted.
    #[error("cannot connect to {url}: {reason}")]
    Certificate {
        /// What was asked for.
        url: String,
        /// The innermost reason.
        reason: String,
        /// The whole of it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Whoever listens there does not speak TLS, which the address asks for.
    #[error("{url} is answered, but not in TLS")]
    NotTls {
        /// What was asked for.
        url: String,
        /// What the TLS library said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to {url} broke: {reason}")]
    Broken {
        /// What was asked for.
        url: String,
        /// The innermost reason.
        reason: String,
        /// The whole of it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No answer came in time.
    #[error("{url} did not answer within {seconds} s", seconds = .after.as_secs())]
    Silent {
        /// What was asked for.
        url: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// Not now; the same request may succeed later.
    #[error("{url} answered {answer}")]
    Busy {
        /// What was asked for.
        url: String,
        /// What it said.
        answer: HubAnswer,
    },
    /// No; repeating the request cannot help.
    #[error("{url} answered {answer}")]
    Refused {
        /// What was asked for.
        url: String,
        /// What it said.
        answer: HubAnswer,
    },
    /// It answered, but not as a hub does.
    #[error("{url} does not answer as a Fanfare hub does: {saw}")]
    NotAHub {
        /// What was asked for.
        url: String,
        /// What came instead.
        saw: String,
    },
}

impl RequestError {
    /// Sorts a failure of the HTTP client.
    pub(crate) fn from_http(url: &str, error: hyper_util::client::legacy::Error) -> Self {
        let (url, reason) = (url.to_owned(), innermost(&error));
        match tls_error(&error) {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                Self::NotTls { url, source: error.into() }
            }
            Some(rustls::Error::InvalidCertificate(_)) => {
                Self::Certificate { url, reason, source: error.into() }
            }
            _ if error.is_connect() => Self::Connect { url, reason, source: error.into() },
            _ => Self::Broken { url, reason, source: error.into() },
        }
    }

    /// A body that broke off.
    pub(crate) fn from_body(url: &str, error: hyper::Error) -> Self {
        Self::Broken { url: url.to_owned(), reason: innermost(&error), source: error.into() }
    }

    /// Sorts an answer that is not 200.
    pub(crate) fn from_answer(url: &str, answer: HubAnswer) -> Self {
        let url = url.to_owned();
        let code = answer.status.as_u16();
        // 501 and 505 say that the server will never know what is asked (RFC 9110, 15.6).
        let may_pass = matches!(code, 408 | 425 | 429)
            || answer.status.is_server_error() && !matches!(code, 501 | 505);
        if may_pass { Self::Busy { url, answer } } else { Self::Refused { url, answer } }
    }

    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::NotAHub { .. })
    }

    /// Whether the hub may have done what was asked, although it did not say so.
    pub fn outcome_is_unknown(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Silent { .. } | Self::Busy { .. })
    }

    /// What the hub answered, where it answered.
    pub fn answer(&self) -> Option<&HubAnswer> {
        match self {
            Self::Busy { answer, .. } | Self::Refused { answer, .. } => Some(answer),
            _ => None,
        }
    }
}

/// What the TLS library said, if it is the cause.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        // The source of an I/O error is that of the error in it.
        Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
    .find_map(|error| error.downcast_ref())
}

/// Layers of a client each say "error"; the last one says which.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
