//! Subscribers, for an operator: listing them a page at a time, and cutting one.

use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use fanfare_delivery::{Delivery, ListFrom, Listed, Listing};
use fanfare_event::{Topic, printable};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::audit::{Administrator, audit};
use crate::endpoint::Endpoint;
use crate::node::Node;
use crate::query;
use crate::refusal::Refusal;
use crate::state::AppState;

/// How many subscribers a page holds, unless asked otherwise, and at most.
const PAGE: (usize, usize) = (50, 500);
/// How many of a subscriber's topics and patterns are shown.
const SELECTORS: usize = 8;
/// How often the shards are asked for one page; a rare topic may need another request.
const ROUNDS: usize = 64;
/// How long a shard may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// A page of the subscribers.
pub(crate) async fn list(State(endpoint): State<Endpoint>, RawQuery(query): RawQuery) -> Response {
    match listing(&endpoint.app, query.as_deref().unwrap_or_default()).await {
        Ok(Listing { subscribers, next }) => {
            let subscribers: Vec<_> =
                subscribers.iter().map(|listed| shown(&endpoint.app.node, listed)).collect();
            let next = next.map(|place| place.to_string());
            axum::Json(json!({"subscribers": subscribers, "next": next})).into_response()
        }
        Err(refusal) => endpoint.refuse(&refusal),
    }
}

/// Closes one subscriber's stream, by `id`, or all those of a `subject`.
pub(crate) async fn cut(
    State(endpoint): State<Endpoint>,
    Extension(by): Extension<Administrator>,
    RawQuery(query): RawQuery,
) -> Response {
    match cut_named(&endpoint.app, &by, query.as_deref().unwrap_or_default()).await {
        Ok(done) => axum::Json(done).into_response(),
        Err(refusal) => endpoint.refuse(&refusal),
    }
}

async fn cut_named(app: &AppState, by: &Administrator, query: &str) -> Result<Value, Refusal> {
    let _inside = app.gate.enter().await?;
    match (query::find(query, "id")?, query::find(query, "subject")?) {
        (Some(id), None) => {
            let (node, name) = id.split_once('.').unwrap_or_default();
            let subscriber = name.parse().map_err(Refusal::of_parameter("id", &id))?;
            // Behind a proxy, the next request may reach another node, which has ids like these.
            if node != app.node.id.to_string() {
                return Err(Refusal::UnknownSubscriber(id));
            }
            let known = ask(app, |delivery, then| delivery.cut_one(subscriber, then)).await?;
            if !known {
                return Err(Refusal::UnknownSubscriber(id));
            }
            tracing::info!(%subscriber, "a subscriber was cut");
            audit!("subscriber_cut", who = &*by.who, from = %by.from, %subscriber);
            Ok(json!({"status": "subscriber cut"}))
        }
        (None, Some(subject)) => {
            // Whether or not the other nodes can be told, it was asked and happened here.
            audit!("subject_cut", who = &*by.who, from = %by.from, subject = &*printable(&subject));
            revoke(app, &subject).await
        }
        _ => Err(Refusal::NobodyNamed),
    }
}

async fn listing(app: &AppState, query: &str) -> Result<Listing, Refusal> {
    let (mut from, mut limit, mut topic) = (ListFrom::default(), PAGE.0, None);
    for parameter in query::pairs(query) {
        let (name, value) = parameter?;
        match &*name {
            "after" => from = value.parse().map_err(Refusal::of_parameter("after", &value))?,
            "topic" => {
                let parsed = Topic::parse(&value).map_err(Refusal::of_parameter("topic", &value));
                topic = Some(parsed?);
            }
            "limit" => {
                let number = value.parse().ok().filter(|limit| (1..=PAGE.1).contains(limit));
                let range = || format!("a page has 1 to {} subscribers", PAGE.1);
                limit = number.ok_or_else(range).map_err(Refusal::of_parameter("limit", &value))?;
            }
            _ => query::pass_over(name, value, &["after", "topic", "limit"])?,
        }
    }
    page(app, from, limit, topic).await
}

/// Collects a page from as many shards as it takes.
async fn page(
    app: &AppState,
    mut from: ListFrom,
    limit: usize,
    topic: Option<Topic>,
) -> Result<Listing, Refusal> {
    let mut page = Listing::default();
    for _ in 0..ROUNDS {
        let wanted = limit - page.subscribers.len();
        let topic = topic.clone();
        let part: Listing =
            ask(app, |delivery, then| delivery.list(from, wanted, topic, then)).await?;
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
    app: &AppState,
    question: impl FnOnce(&Delivery, Box<dyn FnOnce(T) + Send>),
) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    // Whoever asked may have gone.
    question(&app.delivery, Box::new(move |answer| drop(reply.send(answer))));
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Refusal::DeliveryBusy),
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

/// Ends the streams of a subject, consoles among them, at every node, and says how many of this node
/// those were. The subject may come back while its token is good.
///
/// Here they end in any case. Where the other nodes cannot be told, that is the answer, and asking
/// again does no harm.
async fn revoke(app: &AppState, subject: &str) -> Result<Value, Refusal> {
    let count = app.end_streams(subject).await;
    tracing::info!(streams = count, "the streams of a subject were cut");
    let mut answer = json!({"status": "streams closed", "count": count});
    if let Some(cluster) = &app.cluster {
        let told = cluster.announce_cut(subject).await;
        told.map_err(|source| Refusal::CutNotAnnounced { count, source })?;
        answer["other_nodes"] = "told".into();
    }
    Ok(answer)
}
