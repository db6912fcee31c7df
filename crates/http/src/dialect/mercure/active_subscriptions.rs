//! The subscription API: which subscriptions are active, at this node and at the others.
//!
//! What must hold: nobody is told of what they have no grant for; with the cursor that comes with a list, nothing told
//! since is missed: it is taken before anyone is asked; and a list that may lack what another node has says so.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LINK};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fanfare_mercure::{MercureUrl, SubscriptionsPath};
use serde_json::Value;

use super::presence::{ListedSubscriptions, Presence, question};
use super::rounds::Rounds;
use super::stream_format::reference;
use crate::cluster::{Answers, Cluster};
use crate::endpoint::Endpoint;
use crate::refusal::Refusal;

/// What answers the requests.
#[derive(Debug)]
struct Api {
    endpoint: Endpoint,
    presence: Presence,
    hub: Arc<MercureUrl>,
    /// What the other nodes are asked.
    rounds: Rounds<SubscriptionsPath, Arc<ActiveSnapshot>>,
}

/// What is active, and up to where that is known.
#[derive(Debug, Default)]
struct ActiveSnapshot {
    listed: ListedSubscriptions,
    last: String,
}

pub(super) fn routes(endpoint: Endpoint, presence: &Presence, hub: &Arc<MercureUrl>) -> Router {
    let dialect = endpoint.dialect;
    let api = Arc::new(Api {
        endpoint,
        presence: presence.clone(),
        hub: Arc::clone(hub),
        rounds: Rounds::new(),
    });
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
            Some(_) => match answer.listed.documents.first() {
                Some(document) => document.clone(),
                None if answer.listed.more => return Err(Refusal::NotAllAsked),
                None => return Err(nowhere()),
            },
            None => self.collection(&path, &answer),
        };
        let kind = if path.is_older() { "application/ld+json" } else { "application/json" };
        Ok((self.headers(&answer.last, kind), document.to_string()).into_response())
    }

    async fn find(&self, path: &SubscriptionsPath) -> Arc<ActiveSnapshot> {
        let cluster = self.endpoint.app.cluster.as_ref();
        // Whose subscription is known here has no other node.
        if cluster.is_none() || path.subscriber().is_some() {
            let last = self.last();
            let listed = self.presence.list(vec![path.clone()]).await.pop().unwrap_or_default();
            if cluster.is_none() || !listed.documents.is_empty() {
                return Arc::new(ActiveSnapshot { listed, last });
            }
        }
        let Some(cluster) = cluster else { return Arc::default() };
        let ask = async |paths: Vec<_>| self.ask(&**cluster, paths).await;
        self.rounds.ask(path, ask).await.unwrap_or_else(|| {
            // Too many ask.
            let listed = ListedSubscriptions { more: true, ..ListedSubscriptions::default() };
            Arc::new(ActiveSnapshot { listed, last: self.last() })
        })
    }

    /// What is active at these addresses, at this node and at the others.
    async fn ask(
        &self,
        cluster: &dyn Cluster,
        paths: Vec<SubscriptionsPath>,
    ) -> Vec<Arc<ActiveSnapshot>> {
        let (last, question) = (self.last(), question(&paths));
        let mut all = self.presence.list(paths).await;
        let are_missing = match cluster.ask(&question).await {
            Ok(Answers { given, missing }) => {
                for answer in given {
                    let others = ListedSubscriptions::read_all(&answer);
                    all.iter_mut().zip(others).for_each(|(listed, others)| listed.add(others));
                }
                missing > 0
            }
            Err(error) => {
                tracing::warn!(%error, "the other nodes' subscriptions are not listed");
                true
            }
        };
        all.iter_mut().for_each(|listed| listed.more |= are_missing);
        let snapshot = |listed| Arc::new(ActiveSnapshot { listed, last: last.clone() });
        all.into_iter().map(snapshot).collect()
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
