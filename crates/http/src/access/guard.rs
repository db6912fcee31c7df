//! The guard: requests that a page of another site has made its visitor's browser send.
//!
//! Where everyone on this machine may publish, a browser on this machine is everyone. What must
//! hold there: a request is for a name of this machine (else a site could have its own name lead
//! here: DNS rebinding), comes from the hub's own page, an allowed origin, or no page at all, and has
//! not been passed on by a proxy that nobody has spoken of: through it, everyone is on this machine.
//!
//! Where everyone on a network may do everything (`--open`), a browser on that network is one of them
//! too. Unless hosts are named, a request must then be for an address, or for a name that no stranger
//! can have lead here. TLS sees to that by itself: a browser would not accept the certificate.
//! Everywhere, an HTTP/1.1 request names its host, and names one.
//!
//! Figures may be asked for by address too, as monitors of a cluster do: a page has no name of its own
//! in front of an address, so it cannot read them there.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use fanfare_net::{Host, Origin};

use super::client::is_passed_on;
use super::hints::Hints;
use super::peer::Peer;
use crate::refusal::Refusal;

/// What a browser says of the page that made it send a request, where it speaks to a trustworthy host.
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets requests through, or does not.
#[derive(Debug)]
pub(crate) struct Guard {
    config: GuardConfig,
    hints: Hints,
}

/// Which hosts and origins are let through.
#[derive(Debug, Clone, Default)]
pub struct GuardConfig {
    /// The hosts that the hub answers for, beside those of its machine.
    pub hosts: Vec<Host>,
    /// The origins whose pages may use it, beside its own.
    pub origins: Vec<Origin>,
    /// Whether any page of this machine is an allowed one.
    pub dev: bool,
    /// Whether everyone on this machine, and nobody else, may do everything.
    pub private: bool,
    /// Whether everyone who reaches the hub may, without TLS.
    pub open: bool,
}

impl Guard {
    pub(crate) fn new(config: GuardConfig) -> Self {
        Self { config, hints: Hints::default() }
    }

    /// Checks a request of someone `from` there, and tells the operator of what a setting would let in.
    pub(crate) fn admit(&self, request: &Parts, from: Option<IpAddr>) -> Result<(), Refusal> {
        self.tell(request, from, self.check(request))
    }

    /// The same for a request for figures.
    pub(crate) fn admit_monitor(
        &self,
        request: &Parts,
        from: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        let by_address = matches!(host(request), Ok(Some(host)) if host.is_address());
        self.tell(request, from, self.check_as(by_address, request))
    }

    /// Refuses what a form of another site may have sent: unlike JSON, browsers send a form or plain text
    /// without asking.
    pub(crate) fn require_own_page(
        &self,
        request: &Parts,
        from: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        let site = request.headers.get(FETCH_SITE).map(|site| site.as_bytes());
        let elsewhere = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
        let from_page = elsewhere || request.headers.contains_key(ORIGIN);
        if !from_page || self.trusts_origin(request) {
            return Ok(());
        }
        let refusal = Refusal::ForeignOrigin(self.turned_away(request));
        self.hints.tell(&refusal, from);
        Err(refusal)
    }

    fn tell(
        &self,
        request: &Parts,
        from: Option<IpAddr>,
        checked: Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        // Where it is let in, its page may not read the answer, which to the page is the same.
        let wall = match &checked {
            Ok(()) => self.turned_away(request).map(|origin| Refusal::ForeignOrigin(Some(origin))),
            Err(_) => None,
        };
        if let Some(refusal) = checked.as_ref().err().or(wall.as_ref()) {
            self.hints.tell(refusal, from);
        }
        checked
    }

    /// Whether pages of other origins may be allowed at all.
    pub(crate) fn allows_some_origin(&self) -> bool {
        !self.config.origins.is_empty() || self.config.dev
    }

    /// Checks where a request is meant for and where it comes from.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        self.check_as(false, request)
    }

    fn check_as(&self, any_host: bool, request: &Parts) -> Result<(), Refusal> {
        if !self.config.private && !self.config.open && self.config.hosts.is_empty() {
            return Ok(());
        }
        if !any_host && !self.knows_host(request) {
            return Err(Refusal::ForeignHost);
        }
        if self.config.private && self.config.hosts.is_empty() && is_passed_on(&request.headers) {
            return Err(Refusal::PassedOn);
        }
        if self.config.private
            && request.headers.contains_key(ORIGIN)
            && !self.trusts_origin(request)
        {
            return Err(Refusal::ForeignOrigin(self.turned_away(request)));
        }
        Ok(())
    }

    /// Whether the `Origin` is the hub's own, or an allowed one.
    pub(crate) fn trusts_origin(&self, request: &Parts) -> bool {
        let mut given = request.headers.get_all(ORIGIN).iter();
        let sent_by = match (given.next(), given.next()) {
            (Some(only), None) => only.to_str().ok().and_then(origin),
            _ => None,
        };
        sent_by.is_some_and(|page| self.allows(&page) || is_own(&page, request))
    }

    /// Whether pages of an origin that is not the hub's own may use it, as a request names it.
    pub(crate) fn allows_named(&self, named: &HeaderValue) -> bool {
        named.to_str().ok().and_then(origin).is_some_and(|origin| self.allows(&origin))
    }

    fn allows(&self, origin: &Origin) -> bool {
        self.config.origins.contains(origin) || (self.config.dev && origin.is_local())
    }

    /// The origin of a request whose page may not read the answer, or nothing that can be allowed.
    pub(crate) fn turned_away(&self, request: &Parts) -> Option<Origin> {
        let origin = request.headers.get(ORIGIN)?.to_str().ok().and_then(origin)?;
        (!self.trusts_origin(request)).then_some(origin)
    }

    fn knows_host(&self, request: &Parts) -> bool {
        match host(request) {
            // No browser leaves it out.
            Ok(None) => true,
            Ok(Some(host)) => {
                let unnamed = self.config.open && self.config.hosts.is_empty();
                host.is_loopback()
                    || self.config.hosts.iter().any(|known| known.admits(&host))
                    || (unnamed && host.is_not_publicly_resolvable())
            }
            Err(NotAHost) => false,
        }
    }
}

/// What a request names as its host is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAHost;

/// The host a request is meant for, if it says so.
pub(crate) fn host(request: &Parts) -> Result<Option<Host>, NotAHost> {
    let Some(authority) = authority(request) else { return Ok(None) };
    let host = authority.and_then(|text| Host::parse(text).map_err(drop));
    host.map(Some).map_err(|()| NotAHost)
}

/// Whom a request is meant for, if it says so: the target's authority goes before the header (RFC
/// 9112, 3.2.2). An error is what cannot be a host.
fn authority(request: &Parts) -> Option<Result<&str, ()>> {
    if let Some(authority) = request.uri.authority() {
        return Some(Ok(authority.as_str()));
    }
    let mut given = request.headers.get_all(HOST).iter();
    let first = given.next()?;
    if given.next().is_some() {
        return Some(Err(()));
    }
    Some(first.to_str().map_err(drop))
}

/// An origin as a header gives it; `None` if it is not one that could be allowed.
fn origin(text: &str) -> Option<Origin> {
    Origin::parse(text).ok()
}

/// Whether a page of this origin was served under the name the request is meant for. The scheme
/// is taken on trust where the hub does not know its own, behind a proxy; where the connection is
/// encrypted up to the hub, a page in clear text of the same name is anybody's on the way.
fn is_own(origin: &Origin, request: &Parts) -> bool {
    let Some(Ok(authority)) = authority(request) else { return false };
    let scheme = origin.as_str().split_once("://").map_or("", |(scheme, _)| scheme);
    let encrypted = request.extensions.get::<Peer>().is_some_and(|peer| peer.tls);
    if encrypted && scheme != "https" {
        return false;
    }
    Origin::parse(&format!("{scheme}://{authority}")).as_ref() == Ok(origin)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn guard(private: bool, hosts: &[&str], origins: &[&str]) -> Guard {
        Guard::new(GuardConfig {
            hosts: hosts.iter().map(|host| Host::parse(host).unwrap()).collect(),
            origins: origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect(),
            dev: false,
            private,
            open: false,
        })
    }

    fn passes(guard: &Guard, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::get("/").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        guard.check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn no_page_of_another_site_comes_through() {
        let private = guard(true, &["proxy.example"], &["https://app.example"]);
        for (host, origin) in [
            ("localhost:8000", None),
            ("127.0.0.1:8000", Some("http://127.0.0.1:8000")),
            ("proxy.example", Some("https://proxy.example")),
            ("proxy.example:443", Some("https://proxy.example")),
            ("[::1]:8000", Some("https://app.example")),
        ] {
            assert!(passes(&private, host, origin), "{host} {origin:?}");
        }
        for (host, origin) in [
            ("evil.example", None),
            ("evil.example:8000", Some("http://evil.example:8000")),
            ("127.0.0.1:8000", Some("http://127.0.0.1:3000")),
            ("127.0.0.1:8000", Some("http://localhost:8000")),
            ("127.0.0.1:8000", Some("null")),
            ("127.0.0.1:8000", Some("https://app.example.evil.example")),
            ("", None),
        ] {
            assert!(!passes(&private, host, origin), "{host} {origin:?}");
        }
    }

    #[test]
    fn a_page_in_clear_text_is_not_a_page_of_a_hub_that_speaks_tls() {
        let private = guard(true, &["hub.example"], &[]);
        let trusts = |scheme: &str, tls: bool| {
            let request = Request::get("/")
                .header(HOST, "hub.example")
                .header(ORIGIN, format!("{scheme}://hub.example"))
                .extension(Peer { address: "10.0.0.1:1".parse().unwrap(), tls });
            private.trusts_origin(&request.body(()).unwrap().into_parts().0)
        };
        assert!(trusts("https", true) && trusts("http", false));
        assert!(trusts("https", false), "a proxy may speak TLS for the hub");
        assert!(!trusts("http", true), "whoever stands between could have sent it");
    }

    #[test]
    fn a_proxy_makes_nobody_one_of_this_machine() {
        let passes = |guard: &Guard| {
            let request = Request::get("/").header(HOST, "127.0.0.1:8000");
            let request = request.header("x-forwarded-for", "192.0.2.1").body(()).unwrap();
            guard.check(&request.into_parts().0).is_ok()
        };
        assert!(!passes(&guard(true, &[], &["https://app.example"])));
        assert!(passes(&guard(true, &["proxy.example"], &[])), "someone has thought of it");
        assert!(passes(&guard(false, &[], &[])));
    }

    #[test]
    fn no_site_reaches_an_open_hub_through_a_visitors_browser() {
        let open = |hosts: &[&str]| {
            let GuardConfig { hosts, .. } = guard(false, hosts, &[]).config;
            Guard::new(GuardConfig { hosts, open: true, ..GuardConfig::default() })
        };
        let unnamed = open(&[]);
        for host in ["evil.example", "evil.example:8000", "10.0.0.7.evil.example", ""] {
            assert!(!passes(&unnamed, host, None), "{host}");
        }
        for host in ["10.0.0.7:8000", "localhost", "hub:8000", "hub.local", "[fd00::1]:8000"] {
            assert!(passes(&unnamed, host, Some("http://other.example")), "{host}");
        }
        let named = open(&["events.example.com"]);
        assert!(passes(&named, "events.example.com", None));
        assert!(!passes(&named, "10.0.0.7", None));
    }

    #[test]
    fn a_hub_that_asks_for_credentials_takes_any_name() {
        assert!(passes(&guard(false, &[], &[]), "any.example", Some("https://other.example")));
        let named = guard(false, &["a.example"], &[]);
        assert!(passes(&named, "a.example", Some("https://other.example")));
        assert!(passes(&named, "localhost", None));
        assert!(!passes(&named, "b.example", None));
    }
}
