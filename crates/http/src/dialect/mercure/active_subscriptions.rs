//! The subscription API: which subscriptions are active, at this node and at the others.
//!
//! What must hold: nobody is told of what they have no grant for; and with the cursor that comes with a list, nothing
//! told since is missed: it is taken before anyone is asked.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LINK};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fanfare_mercure::{MercureUrl, SubscriptionsPath};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::presence::{ListedSubscriptions, Presence};
use super::stream_format::reference;
use crate::refusal::Refusal;
use crate::state::Endpoint;

/// How often the other nodes are asked, at most; what is asked again meanwhile is answered as it was.
const ASKED_EVERY: Duration = Duration::from_millis(250);

/// What answers the requests.
#[derive(Debug)]
struct Api {
    endpoint: Endpoint,
    presence: Presence,
    hub: Arc<MercureUrl>,
    /// What the other nodes were asked last.
    asked: Mutex<Option<ListingRequest>>,
}

#[derive(Debug)]
struct ListingRequest {
    at: Instant,
    path: SubscriptionsPath,
    answer: Arc<ActiveSnapshot>,
}

/// What is active, and up to where that is known.
#[derive(Debug)]
struct ActiveSnapshot {
    listed: ListedSubscriptions,
    last: String,
}

pub(super) fn routes(endpoint: &Endpoint, presence: &Presence, hub: &Arc<MercureUrl>) -> Router {
    let api = Arc::new(Api {
        endpoint: endpoint.clone(),
        presence: presence.clone(),
        hub: Arc::clone(hub),
        asked: Mutex::default(),
    });
    let dialect = endpoint.dialect;
    let below = format!("{}/{{*which}}", SubscriptionsPath::ROOT);
    Router::new()
        .route(SubscriptionsPath::ROOT, get(answer))
        .route(&below, get(answer))
        .method_not_allowed_fallback(async move || dialect.method_not_allowed())
        .with_state(api)
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let answered = api.answer(&request).await;
    answered.unwrap_or_else(|refusal| api.endpoint.refuse(&refusal))
}

impl Api {
    async fn answer(&self, request: &Parts) -> Result<Response, Refusal> {
        let Endpoint { app, dialect } = &self.endpoint;
        let _place = app.place(request)?;
        let caller = app.access.listener(request, dialect.credentials()).await?;
        let nowhere = || Refusal::UnknownSubscriber(request.uri.path().to_owned());
        let path = SubscriptionsPath::parse(request.uri.path()).ok_or_else(nowhere)?;
        let topic = path.topic().map_err(|_| nowhere())?;
        caller.check_private(&topic)?;
        let answer = self.find(&path).await;
        let document = match path.subscriber() {
            Some(_) => answer.listed.documents.first().cloned().ok_or_else(nowhere)?,
            None => self.collection(&path, &answer),
        };
        let kind = if path.is_older() { "application/ld+json" } else { "application/json" };
        Ok((self.headers(&answer.last, kind), document.to_string()).into_response())
    }

    async fn find(&self, path: &SubscriptionsPath) -> Arc<ActiveSnapshot> {
        let app = &self.endpoint.app;
        let Some(cluster) = &app.cluster else {
            let last = self.last();
            let listed = self.presence.list(path.clone()).await;
            return Arc::new(ActiveSnapshot { listed, last });
        };
        // One question at a time: whoever asks the same meanwhile is answered the same.
        let mut asked = self.asked.lock().await;
        if let Some(known) = &*asked {
            if known.path == *path && known.at.elapsed() < ASKED_EVERY {
                return Arc::clone(&known.answer);
            }
            sleep_until(known.at + ASKED_EVERY).await;
        }
        let (at, last) = (Instant::now(), self.last());
        let mut listed = self.presence.list(path.clone()).await;
        match cluster.ask(&path.to_string()).await {
            Ok(answers) => {
                answers.iter().for_each(|answer| listed.add(ListedSubscriptions::read(answer)));
            }
            Err(error) => {
                tracing::warn!(%error, "the other nodes' subscriptions are not listed");
                listed.more = true;
            }
        }
        let answer = Arc::new(ActiveSnapshot { listed, last });
        *asked = Some(ListingRequest { at, path: path.clone(), answer: Arc::clone(&answer) });
        answer
    }

    fn collection(&self, path: &SubscriptionsPath, answer: &ActiveSnapshot) -> Value {
        let ActiveSnapshot { listed, last } = answer;
        let mut document = path.collection(&listed.documents, last);
        if listed.more {
            document["truncated"] = true.into();
        }
        document
    }

    /// The id of the latest event that this node has heard of.
    fn last(&self) -> String {
        let hub = &self.endpoint.app.hub;
        let last = hub.window().last();
        let is_empty = last.seq == 0 && hub.log_size().is_none_or(|size| size.events == 0);
        if is_empty { "earliest".to_owned() } else { reference(last) }
    }

    /// The cursor is a position of the hub's own: no character of it has to be escaped.
    fn headers(&self, last: &str, kind: &'static str) -> HeaderMap {
        let link = format!(
            r#"<{}>; rel="mercure"; last-event-id="{last}"; type="mercure"; content-type="application/json""#,
            self.hub.as_str()
        );
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(link) = HeaderValue::try_from(link) {
            headers.insert(LINK, link);
        }
        headers
    }
}
