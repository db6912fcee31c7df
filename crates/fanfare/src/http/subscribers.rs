//! Subscribers, for an operator: listing them a page at a time, and cutting one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use fanfare_delivery::{Delivery, ListFrom, Listed, Listing};
use fanfare_event::Topic;
use fanfare_event::printable;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::audit::{Administrator, audit};
use super::error::{Error, RETRY_AFTER_SECONDS, detail, invalid};
use super::query;
use super::revoke::revoke;
use super::router::Shared;
use crate::node::Node;

/// How many subscribers a page holds, unless asked otherwise, and at most.
const PAGE: (usize, usize) = (50, 500);
/// How many of a subscriber's topics and patterns are shown.
const SELECTORS: usize = 8;
/// How often the shards are asked for one page; a rare topic may need another request.
const ROUNDS: usize = 64;
/// How long a shard may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Why nothing was listed or cut.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Query(#[from] Error),
    #[error("{said}")]
    Parameter { name: &'static str, value: String, said: String },
    #[error("no subscriber of this node has the id {0}")]
    Unknown(String),
    #[error("delivery is shutting down or too busy")]
    NoAnswer,
}

/// A page of the subscribers.
pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    match listing(&shared, query.as_deref().unwrap_or_default()).await {
        Ok(Listing { subscribers, next }) => {
            let subscribers: Vec<_> =
                subscribers.iter().map(|listed| shown(&shared.node, listed)).collect();
            let next = next.map(|place| place.to_string());
            axum::Json(json!({"subscribers": subscribers, "next": next})).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Closes one subscriber's stream, by `id`, or all those of a `subject`.
pub(super) async fn cut(
    State(shared): State<Arc<Shared>>,
    Extension(by): Extension<Administrator>,
    RawQuery(query): RawQuery,
) -> Response {
    match cut_named(&shared, &by, query.as_deref().unwrap_or_default()).await {
        Ok(done) => axum::Json(done).into_response(),
        Err(Problem::Query(error)) => error.answer(&shared.metrics),
        Err(problem) => problem.into_response(),
    }
}

async fn cut_named(shared: &Shared, by: &Administrator, query: &str) -> Result<Value, Problem> {
    match (query::find(query, "id")?, query::find(query, "subject")?) {
        (Some(id), None) => {
            let (node, name) = id.split_once('.').unwrap_or_default();
            let subscriber = name.parse().map_err(Problem::of("id", &id))?;
            // Behind a proxy, the next request may reach another node, which has ids like these.
            if node != shared.node.id.to_string() {
                return Err(Problem::Unknown(id));
            }
            let known = ask(shared, |delivery, then| delivery.cut_one(subscriber, then)).await?;
            if !known {
                return Err(Problem::Unknown(id));
            }
            tracing::info!(%subscriber, "a subscriber was cut");
            audit!("subscriber_cut", who = &*by.who, from = %by.from, %subscriber);
            Ok(json!({"status": "subscriber cut"}))
        }
        (None, Some(subject)) => {
            // Whether or not the other nodes can be told, it was asked and happened here.
            audit!("subject_cut", who = &*by.who, from = %by.from, subject = &*printable(&subject));
            Ok(revoke(shared, &subject).await?)
        }
        _ => Err(Error::NobodyNamed.into()),
    }
}

async fn listing(shared: &Shared, query: &str) -> Result<Listing, Problem> {
    let (mut from, mut limit, mut topic) = (ListFrom::default(), PAGE.0, None);
    for parameter in query::pairs(query) {
        let (name, value) = parameter?;
        match &*name {
            "after" => from = value.parse().map_err(Problem::of("after", &value))?,
            "topic" => topic = Some(Topic::parse(&value).map_err(Problem::of("topic", &value))?),
            "limit" => {
                let number = value.parse().ok().filter(|limit| (1..=PAGE.1).contains(limit));
                let range = || format!("a page has 1 to {} subscribers", PAGE.1);
                limit = number.ok_or_else(range).map_err(Problem::of("limit", &value))?;
            }
            _ => {}
        }
    }
    page(shared, from, limit, topic).await
}

impl Problem {
    /// Turns what is wrong with a parameter's value into a problem.
    fn of<E: ToString>(name: &'static str, value: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::Parameter { name, value: value.to_owned(), said: error.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let said = self.to_string();
        match self {
            Self::Query(error) => error.into_response(),
            Self::Parameter { name, value, said } => {
                invalid(&["query", name], &said, &value.into())
            }
            Self::Unknown(_) => detail(StatusCode::NOT_FOUND, said),
            Self::NoAnswer => {
                let mut response = detail(StatusCode::SERVICE_UNAVAILABLE, said);
                response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
                response
            }
        }
    }
}

/// Collects a page from as many shards as it takes.
async fn page(
    shared: &Shared,
    mut from: ListFrom,
    limit: usize,
    topic: Option<Topic>,
) -> Result<Listing, Problem> {
    let mut page = Listing::default();
    for _ in 0..ROUNDS {
        let wanted = limit - page.subscribers.len();
        let topic = topic.clone();
        let part: Listing =
            ask(shared, |delivery, then| delivery.list(from, wanted, topic, then)).await?;
        page.subscribers.extend(part.subscribers);
        page.next = part.next;
        match part.next {
            Some(next) if page.subscribers.len() < limit => from = next,
            _ => break,
        }
    }
    Ok(page)
}

/// Asks the shards something and waits for the answer.
async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&Delivery, Box<dyn FnOnce(T) + Send>),
) -> Result<T, Problem> {
    let (reply, answer) = oneshot::channel();
    // Whoever asked may have gone.
    question(&shared.delivery, Box::new(move |answer| drop(reply.send(answer))));
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Problem::NoAnswer),
    }
}

fn shown(node: &Node, listed: &Listed) -> Value {
    let topics = &listed.interest.selector().topics;
    let names = topics.topics().iter().map(Topic::as_str);
    let patterns = topics.patterns().iter().map(fanfare_event::Pattern::as_str);
    let selectors: Vec<_> = names.chain(patterns).take(SELECTORS).collect();
    let all = topics.topics().len() + topics.patterns().len();
    json!({
        "id": format!("{}.{}", node.id, listed.id),
        "peer": listed.peer.map(|address| address.to_string()),
        "more_selectors": all - selectors.len(),
        "selectors": selectors,
        "connected": listed.connected,
        "lag": listed.lag,
        "blocked": listed.blocked,
    })
}
