//! The router: which path answers what.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::dialect::{Dialect, Mercure, MercureConfig, NATIVE, not_found};
use crate::endpoint::Endpoint;
use crate::front::{Destination, Front, Shortcut};
use crate::layers::{self, RequestRate, Rules};
use crate::refusal::Refusal;
use crate::state::AppState;
use crate::{handlers, pages};

/// The longest target of a request that is repeated to lead elsewhere, in bytes.
const REDIRECTED: usize = 4 * 1024;

/// Where the hub answers, and with which files.
#[derive(Debug, Clone, Copy)]
pub struct RouterConfig<'a> {
    /// What stands before the paths that are not fixed: empty, or such as `/sse`.
    pub prefix: &'a str,
    /// A directory with a page of the operator's own.
    pub templates: Option<&'a Path>,
    /// Where to report a security problem, each as a URL.
    pub security_contacts: &'a [String],
    /// How Mercure's protocol is spoken, if it is.
    pub mercure: Option<&'a MercureConfig>,
}

/// Everything the hub answers.
pub fn router(app: &Arc<AppState>, config: RouterConfig<'_>) -> Front {
    // A dialect is spoken for as long as the process runs.
    let mercure = config.mercure.map(|config| &*Box::leak(Box::new(Mercure::new(config))));
    let others: Vec<&'static dyn Dialect> =
        mercure.into_iter().map(|mercure| mercure as &dyn Dialect).collect();
    speaking(app, config, &others)
}

/// The same, which speaks these dialects beside its own.
fn speaking(
    app: &Arc<AppState>,
    config: RouterConfig<'_>,
    dialects: &[&'static dyn Dialect],
) -> Front {
    let native = Endpoint { app: Arc::clone(app), dialect: &NATIVE };
    let mut all = around(native_routes(&native, config), &native, config.prefix)
        .merge(for_operators(&native, config.prefix));
    let mut shortcuts = shortcuts(&native, config.prefix);
    for &dialect in dialects {
        let endpoint = Endpoint { app: Arc::clone(app), dialect };
        all = all.merge(around(routes(&endpoint, config.prefix), &endpoint, config.prefix));
        shortcuts.extend(self::shortcuts(&endpoint, config.prefix));
    }
    Front::new(app, all, shortcuts)
}

/// The ways past the router to the two routes of a dialect. Where pages of other origins are let in, they get
/// headers from layers, and there are none.
fn shortcuts(endpoint: &Endpoint, prefix: &str) -> Vec<Shortcut> {
    if endpoint.app.access.guard.allows_some_origin() {
        return Vec::new();
    }
    let (paths, rules) = (endpoint.dialect.paths(prefix), rules(endpoint, prefix));
    vec![
        Shortcut { path: paths.publish, to: Destination::Publish, rules: rules.clone() },
        Shortcut { path: paths.subscribe, to: Destination::Events, rules },
    ]
}

/// The two routes of every dialect.
fn routes(endpoint: &Endpoint, prefix: &str) -> Router {
    let Endpoint { dialect, .. } = *endpoint;
    let paths = dialect.paths(prefix);
    let mut subscribe = get(handlers::events);
    if dialect.takes_query() {
        // The framework knows no such method.
        subscribe = subscribe.fallback(handlers::query);
    }
    Router::new()
        .route(&paths.publish, post(handlers::publish))
        .route(&paths.subscribe, subscribe)
        .method_not_allowed_fallback(async move || dialect.method_not_allowed())
        .with_state(endpoint.clone())
        .merge(dialect.extra_routes(&endpoint.app))
}

/// The hub's own dialect, and all else that is answered in it.
fn native_routes(endpoint: &Endpoint, config: RouterConfig<'_>) -> Router {
    let RouterConfig { prefix, templates, security_contacts, mercure: _ } = config;
    let at = |path: &str| format!("{prefix}{path}");
    let for_administrators = Router::new()
        .route(&at("/subscribers"), get(handlers::list).delete(handlers::cut))
        .route_layer(from_fn_with_state(endpoint.clone(), layers::require_administrator));
    let files = pages::index(prefix, templates)
        .merge(pages::console(prefix))
        .merge(pages::docs(prefix))
        .merge(pages::security_txt(security_contacts));
    let Endpoint { dialect, .. } = *endpoint;
    // Those who answer these take a place themselves, as they do in every dialect.
    let placed = Router::new()
        .route(&at("/ticket"), post(handlers::issue))
        .route(&at("/console/events"), get(handlers::statistics))
        .route(&at("/topics/{*topic}"), post(handlers::publish_text))
        .merge(for_administrators)
        .method_not_allowed_fallback(async move || dialect.method_not_allowed())
        .with_state(endpoint.clone())
        .merge(routes(endpoint, prefix));
    let mut router = Router::new().with_state(endpoint.clone()).merge(files);
    let ours = ["/send/", "/events/", "/console/"].map(at);
    let redirects = endpoint.clone();
    let redirected = any(async move |uri: Uri| redirect(&redirects, &uri));
    for path in ours.iter().map(String::as_str).chain(["/docs/", "/redoc/"]) {
        router = router.route(path, redirected.clone());
    }
    if !prefix.is_empty() {
        let page = at("/");
        let home = move || async move { Redirect::temporary(&page) };
        router = router.route("/", get(home)).route(prefix, redirected);
    }
    router
        .fallback(async || not_found())
        .method_not_allowed_fallback(async move || dialect.method_not_allowed())
        .layer(from_fn_with_state(endpoint.clone(), layers::count_request))
        .merge(placed)
}

/// What programs on the hub's network ask. Its health tells nothing and is changed by nobody, so it may
/// be asked for under any name: orchestrators know a hub by an address that nobody can foresee.
fn for_operators(endpoint: &Endpoint, prefix: &str) -> Router {
    let Endpoint { dialect, .. } = *endpoint;
    let guarded = from_fn_with_state(endpoint.clone(), layers::guard_figures);
    let routes = Router::new()
        .route("/metrics", get(handlers::metrics))
        .route_layer(guarded)
        .route("/healthz", get(handlers::healthz))
        .route("/readyz", get(handlers::readyz))
        .method_not_allowed_fallback(async move || dialect.method_not_allowed())
        .with_state(endpoint.clone())
        .layer(from_fn_with_state(endpoint.clone(), layers::count_request));
    bounded(routes, endpoint, prefix)
}

/// What is checked around the routes of a dialect, and answered in it.
fn around(routes: Router, endpoint: &Endpoint, prefix: &str) -> Router {
    let guarded = from_fn_with_state(rules(endpoint, prefix), layers::keep_rules);
    if endpoint.app.access.guard.allows_some_origin() {
        bounded(routes, endpoint, prefix).layer(guarded)
    } else {
        routes.layer(guarded)
    }
}

/// What is checked before a handler of a dialect. How fast requests come is checked inside CORS, if there is that: a
/// page that is asked to come back must be able to read so.
fn rules(endpoint: &Endpoint, prefix: &str) -> Rules {
    let has_cors = endpoint.app.access.guard.allows_some_origin();
    Rules::new(endpoint, (!has_cors).then(|| rate(endpoint, prefix)))
}

fn rate(endpoint: &Endpoint, prefix: &str) -> RequestRate {
    let streams = [endpoint.dialect.paths(prefix).subscribe, format!("{prefix}/console/events")];
    RequestRate { endpoint: endpoint.clone(), streams: Arc::new(streams) }
}

/// Requests are limited by their rate, and pages of allowed origins, if there are any, may read the answers.
fn bounded(routes: Router, endpoint: &Endpoint, prefix: &str) -> Router {
    let rate = rate(endpoint, prefix);
    let routes = routes.layer(from_fn_with_state(rate.clone(), layers::limit_rate));
    if endpoint.app.access.guard.allows_some_origin() {
        routes
            .layer(cors(Arc::clone(&endpoint.app), endpoint.dialect))
            .layer(from_fn_with_state(rate, layers::limit_preflights))
    } else {
        routes
    }
}

/// The allowed origins, each echoed exactly; never `*`, which credentials rule out. What they may do,
/// they may do with any header.
fn cors(app: Arc<AppState>, dialect: &dyn Dialect) -> CorsLayer {
    let allows = move |origin: &HeaderValue, _: &Parts| app.access.guard.allows_named(origin);
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
    let query = dialect.takes_query().then(handlers::query_method);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allows))
        .allow_credentials(true)
        .allow_methods(methods.into_iter().chain(query).collect::<Vec<_>>())
        // When to come back is for every page that is asked to.
        .expose_headers([vec![RETRY_AFTER], dialect.exposed_headers()].concat())
        .allow_headers(AllowHeaders::mirror_request())
}

/// FastAPI's redirects between a path with and without its slash.
fn redirect(endpoint: &Endpoint, uri: &Uri) -> Response {
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > REDIRECTED) {
        return endpoint.refuse(&Refusal::TargetTooLong { limit: REDIRECTED });
    }
    let path = match uri.path().strip_suffix('/') {
        Some(path) => path.to_owned(),
        None => format!("{}/", uri.path()),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::temporary(&format!("{path}{query}")).into_response()
}

#[cfg(test)]
mod tests;
