//! A subscription in the hub's own dialect: `GET <prefix>/events`, with its wishes in the query.

use axum::http::request::Parts;
use fanfare_delivery::{Cadence, InvalidCadence, native};
use fanfare_event::Selector;
use fanfare_hub::Envelope;
#[cfg(any(test, fuzzing))]
use fanfare_hub::Requested;

use crate::dialect::contract::SubscribeRequest;
use crate::dialect::cursor::cursor;
use crate::query;
use crate::refusal::Refusal;

/// The parameter with a ticket for a stream.
pub(super) const TICKET: &str = "ticket";
/// The parameters of a stream. The ticket has been looked at by then.
const KNOWN: [&str; 7] =
    ["topic", "event", "envelope", "interval", "last_event_id", "lastEventId", TICKET];

/// What a subscriber asks for in its address.
#[derive(Debug, Default)]
struct Parameters {
    topics: Vec<String>,
    types: Vec<String>,
    envelope: Envelope,
    cadence: Option<Cadence>,
    last_event_id: Option<String>,
}

pub(super) fn read(request: &Parts) -> Result<SubscribeRequest, Refusal> {
    let parameters = Parameters::parse(request.uri.query().unwrap_or_default())?;
    let topics = parameters.topics.iter().map(String::as_str);
    let selector = Selector::parse(topics, parameters.types.iter().map(String::as_str))?;
    let cursor = cursor(&request.headers, parameters.last_event_id.as_deref());
    let format = native(parameters.envelope);
    Ok(SubscribeRequest { selector, format, cadence: parameters.cadence, cursor, note: None })
}

/// What a console asks for: everything there is, from where it was, written as it likes.
pub(crate) fn statistics(request: &Parts) -> Result<SubscribeRequest, Refusal> {
    let parameters = Parameters::parse(request.uri.query().unwrap_or_default())?;
    let cursor = cursor(&request.headers, parameters.last_event_id.as_deref());
    let (selector, format) = (Selector::default(), native(parameters.envelope));
    Ok(SubscribeRequest { selector, format, cadence: parameters.cadence, cursor, note: None })
}

/// For fuzzing: reads what a subscription asks for.
#[cfg(any(test, fuzzing))]
pub(crate) fn probe(query: &str) {
    let Ok(Parameters { topics, types, last_event_id, .. }) = Parameters::parse(query) else {
        return;
    };
    let types = types.iter().map(String::as_str);
    let _ = Selector::parse(topics.iter().map(String::as_str), types);
    let _ = Requested::parse(last_event_id.as_deref());
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parameters = Self::default();
        for pair in query::pairs(query) {
            let (name, value) = pair?;
            match &*name {
                "topic" => parameters.topics.push(value),
                "event" => parameters.types.push(value),
                "envelope" => {
                    parameters.envelope = match &*value {
                        "none" => Envelope::None,
                        "json" => Envelope::Json,
                        "sealed" => Envelope::Sealed,
                        _ => return Err(Refusal::Envelope(value)),
                    }
                }
                "interval" => match value.parse() {
                    Ok(cadence) => parameters.cadence = Some(cadence),
                    Err(InvalidCadence) => return Err(Refusal::Interval(value)),
                },
                "last_event_id" | "lastEventId" if !value.is_empty() => {
                    parameters.last_event_id = Some(value);
                }
                _ => query::pass_over(name, value, &KNOWN)?,
            }
        }
        Ok(parameters)
    }
}
