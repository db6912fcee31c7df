//! A refusal: why a request is not served as asked, whatever dialect it was made in.
//!
//! What must hold: a refusal says what happened and what to do, under which reason it is counted, and which status
//! it has. How else it looks on the wire is its dialect's; nobody else makes an answer of one.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;
use fanfare_auth::{Forbidden, Identity, InvalidToken, StoreError, Untrusted};
use fanfare_delivery::InvalidCadence;
use fanfare_event::InvalidSelector;
use fanfare_log::{AppendError, InvalidKey};
use fanfare_net::Origin;
use fanfare_payload::PayloadRefusal as InvalidBody;

use crate::cluster::Unreachable;
use crate::metrics::RefusalReason;
use crate::request_body::BodyLimit;
use crate::reserved::ReservedName;

/// What is wrong with a part of a request, as whoever reads it says.
type Reason = Box<dyn Error + Send + Sync>;

/// Why a request is not served as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the body is not a publish")]
    Body(InvalidBody),
    /// `source` says what is wrong in the words of a dialect.
    #[error("{source}")]
    Unreadable { what: UnreadableRequest, source: Reason },
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error(transparent)]
    BodyLimit(BodyLimit),
    #[error("the body did not arrive whole")]
    BodyBroken(#[source] axum::Error),
    #[error(transparent)]
    Key(#[from] InvalidKey),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Selector(#[from] InvalidSelector),
    #[error("the envelope {0:?} is unknown")]
    Envelope(String),
    #[error("{InvalidCadence}")]
    Interval(String),
    #[error("{0:?} does not decode to UTF-8")]
    Query(String),
    #[error("a query may have at most {limit} parameters")]
    TooManyParameters { limit: usize },
    #[error(
        "a subscription may name at most {limit} topics and patterns here, this one names {named}"
    )]
    TooManyTopics { named: usize, limit: usize },
    #[error("Field required: either the id of a subscriber or a subject")]
    NobodyNamed,
    /// The value of an operator's parameter cannot be used.
    #[error("{source}")]
    Parameter { name: &'static str, value: String, source: Reason },
    /// A part of a publish that is not its body cannot be used.
    #[error("{source}")]
    Publish { place: [&'static str; 2], value: String, source: Reason },
    #[error(transparent)]
    Reserved(#[from] ReservedName),
    #[error("Extra inputs are not permitted: did you mean '{meant}'?")]
    NearMiss { name: String, value: String, meant: &'static str },
    /// A parameter of a publish that is, or was meant to be, the field `meant`, which belongs in `place`.
    #[error("Extra inputs are not permitted: {}", directions(name, meant, place))]
    Misplaced { name: String, value: String, meant: &'static str, place: &'static str },
    #[error("no subscriber of this node has the id {0}")]
    UnknownSubscriber(String),
    #[error("delivery is shutting down or too busy")]
    DeliveryBusy,
    #[error(
        "the hub was replaced by a new process while this request was arriving: nothing was done, send it again"
    )]
    HandedOver,
    #[error(
        "the hub is being replaced by a new process: continue after this line, in a new request"
    )]
    Moving,
    #[error(
        "the hub is shutting down: continue after this line, at another hub or when this one is back"
    )]
    Draining,
    #[error(
        "the streams of these credentials were ended: send the credentials again, if they are still valid"
    )]
    Cut,
    #[error("the line is longer than {limit} bytes")]
    LineTooLong { limit: usize },
    #[error("the request's target is longer than {limit} bytes")]
    TargetTooLong { limit: usize },
    #[error("an HTTP/1.1 request has one Host header")]
    NotOneHost,
    #[error("the request is for a host that this hub does not answer for: name it by --allow-host")]
    ForeignHost,
    #[error(
        "a proxy has passed this request on, and the hub serves its own machine only: name the \
         proxy's host by --allow-host, or set credentials"
    )]
    PassedOn,
    #[error("pages of this origin may not use this hub{}", remedy(.0.as_ref()))]
    ForeignOrigin(Option<Origin>),
    #[error("Not authenticated")]
    Unauthenticated,
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error("{invalid}; too many from your address have failed lately")]
    TooManyFailures { invalid: InvalidToken, address: IpAddr, wait: Duration },
    #[error("the ticket has been used, or its time is over; too many have failed lately")]
    TooManyFalseTickets { address: IpAddr, wait: Duration },
    #[error("the connection ends: too many credentials have failed")]
    ConnectionEnded,
    #[error("there is more than one Authorization header: send one")]
    TwoCredentials,
    #[error("the ticket has been used, or its time is over")]
    UsedTicket,
    #[error(transparent)]
    Tickets(#[from] StoreError),
    #[error("{Forbidden}")]
    Forbidden(Identity),
    #[error(
        "{count} streams were closed at this node, and the other nodes could not be told: {source}"
    )]
    CutNotAnnounced { count: usize, source: Unreachable },
    #[error(
        "it is not at this node, and not every other node could be asked: try again in a moment"
    )]
    NotAllAsked,
    #[error("too many events in too short a time")]
    TooFast { wait: Duration },
    #[error("too many tickets in too short a time")]
    TooManyTickets { wait: Duration },
    #[error("too many requests are being answered")]
    Busy,
    #[error("too many requests from your address are being answered")]
    BusyAddress,
    #[error("too many requests from your address in too short a time, or too costly ones")]
    TooManyRequests { wait: Duration },
    #[error("the console answers only requests from the hub's own machine")]
    Elsewhere,
    #[error("the request came over no connection")]
    NoPeer,
}

/// What the rest of the program is told of a refusal, as an extension of its answer.
#[derive(Debug, Clone)]
pub(crate) struct RefusalNote {
    pub(crate) reason: RefusalReason,
    /// What was wrong with a credential: words of ours, never its own.
    pub(crate) failure: Option<String>,
    /// Who it was, where that is known.
    pub(crate) who: Option<Identity>,
    /// The address whose failures are too many, so that the answer is to be slow in coming.
    pub(crate) slowed: Option<IpAddr>,
}

/// What of a request its dialect cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnreadableRequest {
    /// A publish.
    Publish,
    /// A publish, which is longer than one may be.
    LongPublish,
    /// The kind of a body.
    ContentType,
    /// What a subscriber asks for.
    Subscription,
}

impl Refusal {
    /// Turns what is wrong into a refusal.
    pub(crate) fn unreadable<E: Into<Reason>>(what: UnreadableRequest) -> impl FnOnce(E) -> Self {
        move |error| Self::Unreadable { what, source: error.into() }
    }

    /// Under which reason the refusal is counted.
    pub(crate) fn reason(&self) -> RefusalReason {
        match self {
            Self::Body(invalid) if invalid.status() == 413 => RefusalReason::TooLarge,
            Self::BodyTooLarge { .. }
            | Self::LineTooLong { .. }
            | Self::Unreadable { what: UnreadableRequest::LongPublish, .. } => {
                RefusalReason::TooLarge
            }
            Self::Unreadable { what: UnreadableRequest::Subscription, .. } => {
                RefusalReason::InvalidSubscribe
            }
            Self::Unreadable { .. } => RefusalReason::InvalidPublish,
            Self::BodyLimit(BodyLimit::Late) => RefusalReason::BodyTimeout,
            Self::BodyLimit(BodyLimit::NoRoom) => RefusalReason::Bodies,
            Self::Body(_)
            | Self::BodyBroken(_)
            | Self::Key(_)
            | Self::Publish { .. }
            | Self::Reserved(_)
            | Self::Misplaced { .. } => RefusalReason::InvalidPublish,
            Self::Append(AppendError::Full { .. }) => RefusalReason::LogFull,
            Self::Append(AppendError::TooManyKeys { .. }) => RefusalReason::TooManyKeys,
            Self::Append(AppendError::KeyReused) => RefusalReason::KeyReused,
            Self::Append(_) | Self::CutNotAnnounced { .. } | Self::NotAllAsked => {
                RefusalReason::LogUnavailable
            }
            Self::Selector(_)
            | Self::Envelope(_)
            | Self::Interval(_)
            | Self::Query(_)
            | Self::TooManyParameters { .. }
            | Self::NearMiss { .. } => RefusalReason::InvalidSubscribe,
            Self::TooManyTopics { .. } => RefusalReason::TooManyTopics,
            Self::NobodyNamed => RefusalReason::InvalidRevocation,
            Self::Parameter { .. } | Self::UnknownSubscriber(_) => RefusalReason::InvalidQuery,
            Self::DeliveryBusy => RefusalReason::DeliveryBusy,
            Self::HandedOver | Self::Moving => RefusalReason::HandedOver,
            Self::Draining => RefusalReason::Draining,
            Self::TargetTooLong { .. } => RefusalReason::TargetTooLong,
            Self::NotOneHost => RefusalReason::Malformed,
            Self::ForeignHost | Self::PassedOn => RefusalReason::ForeignHost,
            Self::ForeignOrigin(_) => RefusalReason::ForeignOrigin,
            Self::TooManyTickets { .. } | Self::Tickets(StoreError::Share | StoreError::Full) => {
                RefusalReason::TooManyTickets
            }
            Self::Untrusted(Untrusted::Unavailable(_)) | Self::Tickets(_) => {
                RefusalReason::CredentialsUnverifiable
            }
            Self::Unauthenticated | Self::Untrusted(_) | Self::UsedTicket => {
                RefusalReason::Unauthenticated
            }
            Self::TooManyFailures { .. }
            | Self::TooManyFalseTickets { .. }
            | Self::ConnectionEnded => RefusalReason::CredentialRate,
            Self::TwoCredentials | Self::Cut => RefusalReason::Unauthenticated,
            Self::Forbidden(_) | Self::Elsewhere => RefusalReason::Forbidden,
            Self::TooFast { .. } => RefusalReason::PublishRate,
            Self::Busy | Self::NoPeer => RefusalReason::Requests,
            Self::BusyAddress => RefusalReason::AddressRequests,
            Self::TooManyRequests { .. } => RefusalReason::RequestRate,
        }
    }

    /// Whether credentials could not be looked at for now, or this is no longer the hub, which a client
    /// that retries may find gone.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Untrusted(Untrusted::Unavailable(_)) | Self::Tickets(_) | Self::HandedOver
        )
    }

    /// What the rest of the program is to know of it.
    pub(crate) fn note(&self) -> RefusalNote {
        let failure = match self {
            Self::Untrusted(Untrusted::Invalid(invalid))
            | Self::TooManyFailures { invalid, .. } => Some(invalid.to_string()),
            Self::UsedTicket | Self::TooManyFalseTickets { .. } | Self::TwoCredentials => {
                Some(self.to_string())
            }
            _ => None,
        };
        let who = match self {
            Self::Forbidden(identity) => Some(identity.clone()),
            _ => None,
        };
        let slowed = match self {
            Self::TooManyFailures { address, .. } | Self::TooManyFalseTickets { address, .. } => {
                Some(*address)
            }
            _ => None,
        };
        RefusalNote { reason: self.reason(), failure, who, slowed }
    }

    /// The status of its answer. `invalid` is that of a request that can be read and not be accepted, of which
    /// each dialect has its own.
    pub(crate) fn status(&self, invalid: StatusCode) -> StatusCode {
        match self {
            Self::Body(body) => StatusCode::from_u16(body.status()).unwrap_or(invalid),
            Self::Unreadable { what: UnreadableRequest::LongPublish, .. }
            | Self::BodyTooLarge { .. }
            | Self::LineTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreadable { what: UnreadableRequest::ContentType, .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Unreadable { .. }
            | Self::Key(_)
            | Self::Selector(_)
            | Self::Query(_)
            | Self::TooManyParameters { .. }
            | Self::Parameter { .. }
            | Self::Publish { .. }
            | Self::Reserved(_)
            | Self::NearMiss { .. }
            | Self::Misplaced { .. }
            | Self::TooManyTopics { .. }
            | Self::NobodyNamed
            | Self::Envelope(_)
            | Self::Interval(_) => invalid,
            Self::BodyBroken(_) | Self::NotOneHost | Self::TwoCredentials => {
                StatusCode::BAD_REQUEST
            }
            // draft-ietf-httpapi-idempotency-key-header, 2.6.
            Self::Append(AppendError::KeyReused) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Append(AppendError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            Self::BodyLimit(BodyLimit::Late) => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::UnknownSubscriber(_) => StatusCode::NOT_FOUND,
            Self::Unauthenticated
            | Self::Untrusted(Untrusted::Invalid(_))
            | Self::Cut
            | Self::UsedTicket => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_)
            | Self::ForeignHost
            | Self::PassedOn
            | Self::ForeignOrigin(_)
            | Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::Tickets(StoreError::Share)
            | Self::TooFast { .. }
            | Self::TooManyTickets { .. }
            | Self::TooManyFailures { .. }
            | Self::TooManyFalseTickets { .. }
            | Self::ConnectionEnded
            | Self::BusyAddress
            | Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyLimit(BodyLimit::NoRoom)
            | Self::Append(_)
            | Self::Untrusted(Untrusted::Unavailable(_))
            | Self::Tickets(_)
            | Self::CutNotAnnounced { .. }
            | Self::NotAllAsked
            | Self::DeliveryBusy
            | Self::HandedOver
            | Self::Moving
            | Self::Draining
            | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoPeer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// How long whoever was refused is to wait before they try again; `None` where waiting does not help.
    fn retry_after(&self) -> Option<Duration> {
        /// How long a moment is.
        const MOMENT: Duration = Duration::from_secs(1);
        match self {
            Self::TooFast { wait }
            | Self::TooManyTickets { wait }
            | Self::TooManyFailures { wait, .. }
            | Self::TooManyFalseTickets { wait, .. }
            | Self::TooManyRequests { wait } => Some(*wait),
            Self::BodyLimit(BodyLimit::NoRoom)
            | Self::Untrusted(Untrusted::Unavailable(_))
            | Self::Tickets(_)
            | Self::CutNotAnnounced { .. }
            | Self::NotAllAsked
            | Self::DeliveryBusy
            | Self::HandedOver
            | Self::Moving
            | Self::Draining
            | Self::ConnectionEnded
            | Self::BusyAddress
            | Self::Busy => Some(MOMENT),
            Self::Append(error) if !matches!(error, AppendError::KeyReused) => Some(MOMENT),
            _ => None,
        }
    }

    /// The same in whole seconds, as `Retry-After` wants them; never 0 (RFC 9110, 10.2.3).
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after().map(|wait| wait.as_secs_f64().ceil().max(1.0) as u64)
    }

    /// Turns what is wrong with the value of an operator's parameter into a refusal.
    pub(crate) fn of_parameter<E: Into<Reason>>(
        name: &'static str,
        value: &str,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Parameter { name, value: value.to_owned(), source: error.into() }
    }

    /// Turns what is wrong with a part of a publish that is not its body into a refusal.
    pub(crate) fn of_publish(
        place: [&'static str; 2],
        value: &str,
        source: impl Into<Reason>,
    ) -> Self {
        Self::Publish { place, value: value.to_owned(), source: source.into() }
    }

    /// Why a body could not be read whole.
    pub(crate) fn of_body(error: axum::Error) -> Self {
        match BodyLimit::cause_of(&error) {
            Some(broken) => Self::BodyLimit(broken),
            None => Self::BodyBroken(error),
        }
    }
}

/// Where what stands in an address belongs.
fn directions(name: &str, meant: &str, place: &str) -> String {
    match name == meant {
        true => format!("'{meant}' belongs in the {place}"),
        false => format!("did you mean '{meant}'? It belongs in the {place}"),
    }
}

/// What lets the pages of an origin in.
fn remedy(origin: Option<&Origin>) -> String {
    let Some(origin) = origin else { return String::new() };
    let local = if origin.is_local() { ", or those of this machine by --dev" } else { "" };
    format!(": allow them by --allow-origin {}{local}", origin.as_str())
}
