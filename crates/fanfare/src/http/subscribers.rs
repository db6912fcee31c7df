//! Subscribers, for an operator: listing them a page at a time, and cutting one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use fanfare_delivery::{Delivery, ListFrom, Listed, Listing, SubscriberId};
use fanfare_event::Topic;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::{detail, invalid};
use super::router::Shared;

/// How many subscribers a page holds, unless asked otherwise, and at most.
const PAGE: (usize, usize) = (50, 500);
/// How many of a subscriber's topics and patterns are shown.
const SELECTORS: usize = 8;
/// How often the shards are asked for one page; a rare topic may need another request.
const ROUNDS: usize = 64;
/// How long a shard may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// A page of the subscribers.
pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (mut from, mut limit, mut topic) = (ListFrom::default(), PAGE.0, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let refused = match &*name {
            "after" => value.parse().map(|place| from = place).map_err(|e| e.to_string()),
            "topic" => Topic::parse(&value).map(|t| topic = Some(t)).map_err(|e| e.to_string()),
            "limit" => match value.parse() {
                Ok(number) if (1..=PAGE.1).contains(&number) => {
                    limit = number;
                    Ok(())
                }
                _ => Err(format!("limit must be a number from 1 to {}", PAGE.1)),
            },
            _ => Ok(()),
        };
        if let Err(said) = refused {
            return invalid(&["query", &name], &said, &value.as_ref().into());
        }
    }
    match page(&shared, from, limit, topic).await {
        Ok(Listing { subscribers, next }) => {
            let subscribers: Vec<_> = subscribers.iter().map(shown).collect();
            let next = next.map(|place| place.to_string());
            axum::Json(json!({"subscribers": subscribers, "next": next})).into_response()
        }
        Err(NoAnswer) => NoAnswer.into_response(),
    }
}

/// Closes one subscriber's stream.
pub(super) async fn cut(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let Some((_, id)) = parameters.find(|(name, _)| name == "id") else {
        let problem = json!([{
            "type": "missing", "loc": ["query", "id"], "msg": "Field required", "input": null,
        }]);
        return detail(StatusCode::UNPROCESSABLE_ENTITY, problem);
    };
    let subscriber: SubscriberId = match id.parse() {
        Ok(subscriber) => subscriber,
        Err(error) => return invalid(&["query", "id"], &format!("{error}"), &id.as_ref().into()),
    };
    match ask(&shared, |delivery, then| delivery.cut(subscriber, then)).await {
        Ok(true) => {
            tracing::info!(%subscriber, "a subscriber was cut");
            axum::Json(json!({"status": "subscriber cut"})).into_response()
        }
        Ok(false) => {
            detail(StatusCode::NOT_FOUND, format!("no subscriber has the id {subscriber}"))
        }
        Err(NoAnswer) => NoAnswer.into_response(),
    }
}

/// Collects a page from as many shards as it takes.
async fn page(
    shared: &Shared,
    mut from: ListFrom,
    limit: usize,
    topic: Option<Topic>,
) -> Result<Listing, NoAnswer> {
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

/// A shard did not answer: it has ended, or is far too busy.
struct NoAnswer;

impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        let mut response =
            detail(StatusCode::SERVICE_UNAVAILABLE, "delivery is shutting down or too busy");
        response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static("1"));
        response
    }
}

/// Asks the shards something and waits for the answer.
async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&Delivery, Box<dyn FnOnce(T) + Send>),
) -> Result<T, NoAnswer> {
    let (reply, answer) = oneshot::channel();
    // Whoever asked may have gone.
    question(&shared.delivery, Box::new(move |answer| drop(reply.send(answer))));
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(NoAnswer),
    }
}

fn shown(listed: &Listed) -> Value {
    let topics = &listed.interest.selector().topics;
    let names = topics.topics().iter().map(Topic::as_str);
    let patterns = topics.patterns().iter().map(fanfare_event::Pattern::as_str);
    let selectors: Vec<_> = names.chain(patterns).take(SELECTORS).collect();
    let all = topics.topics().len() + topics.patterns().len();
    json!({
        "id": listed.id.to_string(),
        "peer": listed.peer.map(|address| address.to_string()),
        "more_selectors": all - selectors.len(),
        "selectors": selectors,
        "connected": listed.connected,
        "lag": listed.lag,
        "blocked": listed.blocked,
    })
}
