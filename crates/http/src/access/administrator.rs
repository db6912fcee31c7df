//! Who counts as an administrator where nobody has credentials to say so: whoever is on the hub's own
//! machine.

use axum::http::request::Parts;

use super::client::is_passed_on;
use super::guard;
use super::peer::Peer;

/// Whether a request comes from this machine.
///
/// A peer on the loopback interface is not enough: behind it may be a proxy, or a page elsewhere
/// that has pointed a name of its own at 127.0.0.1 (DNS rebinding). So the request must also be
/// addressed to this machine, and not be passed on.
pub(super) fn is_local(request: &Parts) -> bool {
    let peer = request.extensions.get::<Peer>();
    let local = peer.is_some_and(|peer| peer.address.ip().to_canonical().is_loopback());
    let named = guard::host(request).is_ok_and(|host| host.is_some_and(|host| host.is_loopback()));
    local && named && !is_passed_on(&request.headers)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::http::header::HOST;

    use super::*;

    fn admits(peer: Option<&str>, host: &str, header: Option<&str>) -> bool {
        let mut request = Request::get("/").header(HOST, host);
        if let Some(name) = header {
            request = request.header(name, "192.0.2.1");
        }
        if let Some(peer) = peer {
            request = request.extension(Peer { address: peer.parse().unwrap(), tls: false });
        }
        is_local(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn nobody_elsewhere_is_let_in_and_nobody_here_kept_out() {
        for peer in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            for host in [
                "localhost",
                "LOCALHOST:8000",
                "127.0.0.1:8000",
                "[::1]:8000",
                "[::1]",
                "localhost.",
                "x.localhost:1",
                "[::ffff:127.0.0.1]",
            ] {
                assert!(admits(Some(peer), host, None), "{peer} {host}");
            }
        }
        for peer in [None, Some("192.0.2.1:1"), Some("[::ffff:192.0.2.1]:1")] {
            assert!(!admits(peer, "localhost", None), "{peer:?}");
        }
        let local = Some("127.0.0.1:1");
        for host in ["", "evil.example", "localhost.evil.example", "192.0.2.1:8000", "[::2]"] {
            assert!(!admits(local, host, None), "{host}");
        }
        for header in ["forwarded", "x-forwarded-for", "x-real-ip"] {
            assert!(!admits(local, "localhost", Some(header)), "{header}");
        }
    }
}
