//! Who may look at the console and cut subscribers.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::header::{FORWARDED, HOST, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::error::detail;

/// Headers by which a proxy says that it speaks for someone else.
const SPEAKS_FOR_ANOTHER: [HeaderName; 3] =
    [FORWARDED, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// The other end of the connection that a request came by; every request carries it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Lets a request through that comes from this machine; refuses all others.
///
/// A peer on the loopback interface is not enough: behind it may be a proxy, or a page elsewhere
/// that has pointed a name of its own at 127.0.0.1 (DNS rebinding). So the request must also be
/// addressed to this machine, and not be passed on.
pub(super) async fn require_admin(request: Request, next: Next) -> Response {
    let local = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback());
    let host = request.uri().host().or_else(|| host(request.headers()));
    let passed_on = SPEAKS_FOR_ANOTHER.iter().any(|name| request.headers().contains_key(name));
    if local && !passed_on && host.is_some_and(is_this_machine) {
        next.run(request).await
    } else {
        let said = "the console answers only requests from the hub's own machine";
        detail(StatusCode::FORBIDDEN, said)
    }
}

/// The host a request is addressed to, without its port.
fn host(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(HOST)?.to_str().ok()?;
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, _)| address),
        None => text.split(':').next(),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(peer: Option<&str>, host: &str, header: Option<&str>) -> u16 {
        let router = Router::new().route("/", get(async || "")).layer(from_fn(require_admin));
        let mut request = Request::get("/").header(HOST, host);
        if let Some(name) = header {
            request = request.header(name, "192.0.2.1");
        }
        if let Some(peer) = peer {
            request = request.extension(Peer(peer.parse().unwrap()));
        }
        let request = request.body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn someone_elsewhere_is_let_in_or_someone_here_kept_out() {
        for peer in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"] {
                assert_eq!(status(Some(peer), host, None).await, 200, "{peer} {host}");
            }
        }
        for peer in [None, Some("192.0.2.1:1"), Some("[::ffff:192.0.2.1]:1")] {
            assert_eq!(status(peer, "localhost", None).await, 403, "{peer:?}");
        }
        let local = Some("127.0.0.1:1");
        for host in ["", "evil.example", "localhost.evil.example", "192.0.2.1:8000", "[::2]"] {
            assert_eq!(status(local, host, None).await, 403, "{host}");
        }
        for header in ["forwarded", "x-forwarded-for", "x-real-ip"] {
            assert_eq!(status(local, "localhost", Some(header)).await, 403, "{header}");
        }
    }
}
