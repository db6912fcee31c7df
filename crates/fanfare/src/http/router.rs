//! The router: which path answers what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use fanfare_delivery::Delivery;
use fanfare_hub::Hub;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::access::Access;
use super::audit::{Trail, trail};
use super::error::{Error, detail};
use super::failures::slow;
use super::places::{Doors, place};
use super::quotas::Quotas;
use super::security_txt::security_txt;
use super::{admin, console, docs, operations, pages, publish, subscribe, subscribers, tickets};
use crate::cluster::Cluster;
use crate::console::Console;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::settings::{Settings, parse_origin};

/// What the handlers work with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) console: Arc<Console>,
    pub(crate) access: Access,
    pub(crate) trail: Trail,
    /// The other nodes, where there may be some.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) node: Node,
    pub(crate) quotas: Quotas,
    /// The longest message, in bytes.
    pub(crate) max_message: usize,
    /// Set once the hub is shutting down.
    pub(crate) draining: AtomicBool,
}

impl Shared {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Everything the hub answers.
pub(crate) fn router(shared: Arc<Shared>, settings: &Settings) -> Router {
    let prefix = settings.prefix.as_str();
    let at = |path: &str| format!("{prefix}{path}");
    let for_admins = Router::new()
        .route(&at("/subscribers"), get(subscribers::list).delete(subscribers::cut))
        .route_layer(from_fn_with_state(Arc::clone(&shared), admin::require_admin));
    let pages = pages::pages(prefix, settings.templates.as_ref().map(|d| d.path()))
        .merge(console::page(prefix))
        .merge(docs::docs(prefix))
        .merge(security_txt(&settings.security_contact));
    let mut router = Router::new()
        .route(&at("/send"), post(publish::send))
        .route(&at("/events"), get(subscribe::events))
        .route(&at("/ticket"), post(tickets::issue))
        .route(&at("/console/events"), get(console::events))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .merge(for_admins)
        .with_state(Arc::clone(&shared))
        .merge(pages);
    let ours = ["/send/", "/events/", "/console/"].map(at);
    for path in ours.iter().map(String::as_str).chain(["/docs/", "/redoc/"]) {
        router = router.route(path, any(without_slash));
    }
    if !prefix.is_empty() {
        let page = at("/");
        let home = move || async move { Redirect::temporary(&page) };
        router = router.route("/", get(home)).route(prefix, any(with_slash));
    }
    let router = router
        .fallback(async || detail(StatusCode::NOT_FOUND, "Not Found"))
        .method_not_allowed_fallback(async || {
            detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        });
    // Inside CORS: a page that is asked to come back must be able to read so.
    let doors = Doors::new(Arc::clone(&shared), ["/events", "/console/events"].map(at));
    let router = router.layer(from_fn_with_state(doors, place));
    let router = if settings.allow_origin.is_empty() && !settings.dev {
        router
    } else {
        router.layer(cors(Arc::clone(&shared)))
    };
    let failures = Arc::clone(&shared.access.failures);
    router
        .layer(from_fn_with_state(Arc::clone(&shared), guarded))
        .layer(from_fn_with_state(failures, slow))
        .layer(from_fn_with_state(shared, trail))
}

/// Lets no request through that the guard refuses.
async fn guarded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let guard = &shared.access.guard;
    let checked = guard.check(&head);
    // Where it is let in, its page may not read the answer, which to the page is the same.
    let wall = match &checked {
        Ok(()) => guard.turned_away(&head).map(|origin| Error::ForeignOrigin(Some(origin))),
        Err(_) => None,
    };
    if let Some(refusal) = checked.as_ref().err().or(wall.as_ref()) {
        let from = shared.access.address(&head.extensions, &head.headers);
        guard.refusals.tell(refusal, from);
    }
    match checked {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(error) => error.answer(&shared.metrics),
    }
}

/// The allowed origins, each echoed exactly; never `*`, which credentials rule out. What they may do,
/// they may do with any header.
fn cors(shared: Arc<Shared>) -> CorsLayer {
    let allows = move |origin: &HeaderValue, _: &Parts| {
        let origin = origin.to_str().ok().and_then(parse_origin);
        origin.is_some_and(|origin| shared.access.guard.allows(&origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allows))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
}

/// FastAPI's redirects between a path with and without its slash.
async fn without_slash(uri: Uri) -> Response {
    redirect(uri.path().trim_end_matches('/'), &uri)
}

async fn with_slash(uri: Uri) -> Response {
    redirect(&format!("{}/", uri.path()), &uri)
}

fn redirect(path: &str, uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::temporary(&format!("{path}{query}")).into_response()
}

#[cfg(test)]
impl Shared {
    /// Of a hub that nobody uses.
    pub(super) fn idle(settings: &Settings) -> Arc<Self> {
        use std::time::Duration;

        use super::{Limits, Roster};
        use fanfare_delivery::{DeliverySettings, Retry, Seats};
        use fanfare_hub::{Window, WindowBounds};
        use fanfare_log::{MemoryLog, MemorySettings, Retention, Tail};

        let second = Duration::from_secs(1);
        let retention = Retention { count: 1, bytes: 1, age: second };
        let window = Arc::new(Window::new(WindowBounds { count: 1, bytes: 1 }, retention));
        let memory = MemorySettings { retention, key_window: second, key_capacity: 1 };
        let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Arc::new(Hub::new(window, log));
        let delivery = DeliverySettings {
            shards: 1,
            heartbeat: second,
            write_timeout: second,
            min_rate: 0,
            retry: Retry(second),
            seats: Seats::new(1),
        };
        let delivery = Arc::new(Delivery::start(&hub, &delivery).unwrap());
        let bounds = Limits::new(settings, 1024).bounds;
        let roster = Roster::new(bounds, delivery.seats().clone());
        Arc::new(Self {
            metrics: Arc::new(Metrics::new(Arc::clone(&hub), Arc::clone(&delivery), roster, None)),
            access: Access::new(settings, None, None),
            trail: Trail::default(),
            cluster: None,
            node: Node::new(None, settings.listen),
            quotas: Quotas::new(settings),
            console: Arc::new(Console::open(settings).unwrap()),
            hub,
            delivery,
            max_message: 1,
            draining: AtomicBool::new(false),
        })
    }
}
