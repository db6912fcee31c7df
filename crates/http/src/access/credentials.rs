//! Credentials: what a request presents to say who sent it.

use std::fmt;

use axum::http::Method;
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;

use super::guard::{FETCH_SITE, Guard};
use super::peer::Peer;
use super::realm::Realm;
use crate::query;
use crate::refusal::Refusal;

/// Where the requests of one dialect carry credentials, beside the `Authorization` header, which goes before
/// all of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CredentialPlaces {
    /// Cookies with a key or a token, in place of the one that the settings name: the first that is there counts.
    pub(crate) cookies: &'static [&'static str],
    /// A parameter with a ticket for a stream, which goes before the cookie.
    pub(crate) ticket: Option<&'static str>,
    /// A parameter with a key or a token, which goes behind the cookie.
    pub(crate) token: Option<&'static str>,
    /// Whose they are.
    pub(crate) realm: Realm,
}

/// What a request presents. Not to be logged.
pub(crate) enum Presented {
    /// An access key or a token.
    Bearer(String),
    /// A ticket for one stream.
    Ticket(String),
}

/// A bearer's credential in the header. Of two, either might be meant (RFC 6750, 2 and 3.1).
pub(super) fn header(request: &Parts) -> Result<Option<Presented>, Refusal> {
    let mut lines = request.headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Refusal::TwoCredentials);
    }
    // What is not text is not a credential either, and is refused as one that is not valid.
    let line = String::from_utf8_lossy(line.as_bytes());
    let (scheme, text) = line.split_at(line.find(|c| !is_token(c)).unwrap_or(line.len()));
    // The scheme's name is in any case (RFC 9110, 11.1). What follows it counts, though it be nothing: whoever means
    // to show a token is not taken for someone else. Another scheme is for a proxy in front of the hub.
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    Ok(bearer.then(|| Presented::Bearer(text.trim().to_owned())))
}

/// Whether a scheme's name may have it (RFC 9110, 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A bearer's credential in the cookie, if the request is of the same site.
pub(super) fn cookie(
    request: &Parts,
    guard: &Guard,
    places: &[&str],
    name: Option<&str>,
) -> Option<Presented> {
    let tls = request.extensions.get::<Peer>().is_some_and(|peer| peer.tls);
    // A browser lets only this very host set a cookie with this prefix (RFC 6265bis, 4.1.3.2).
    let ours = name.unwrap_or(if tls { "__Host-fanfare" } else { "fanfare" });
    let named = if places.is_empty() { Some(ours) } else { name };
    let mut names = named.into_iter().chain(places.iter().copied());
    let value = names.find_map(|name| find_cookie(request, name))?;
    is_same_site(request, guard).then_some(Presented::Bearer(value))
}

/// What a parameter of this name holds.
pub(super) fn parameter(
    request: &Parts,
    name: Option<&str>,
    presented: fn(String) -> Presented,
) -> Result<Option<Presented>, Refusal> {
    let Some(name) = name else { return Ok(None) };
    let query = request.uri.query().unwrap_or_default();
    Ok(query::find(query, name)?.map(presented))
}

fn find_cookie(request: &Parts, name: &str) -> Option<String> {
    let lines = request.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// Whether a browser sent the request for a page that may use the visitor's cookie. One that is
/// silent about where a request came from sends no `Origin` only with a GET, whose answer another
/// site's page cannot read; nor can a page of a sibling, which may not do more.
fn is_same_site(request: &Parts, guard: &Guard) -> bool {
    let site = request.headers.get(FETCH_SITE).map(|site| site.as_bytes());
    let only_asks = matches!(request.method, Method::GET | Method::HEAD);
    match site {
        Some(b"same-origin" | b"none") => true,
        Some(b"same-site") if only_asks => true,
        Some(_) => guard.trusts_origin(request),
        None if request.headers.contains_key(ORIGIN) => guard.trusts_origin(request),
        None => only_asks,
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(hidden)")
    }
}

/// For fuzzing: what stands in a request's headers.
#[cfg(any(test, fuzzing))]
pub(crate) fn presented(
    request: &Parts,
    guard: &Guard,
    cookie_name: Option<&str>,
) -> Vec<Presented> {
    let found = [header(request).ok().flatten(), cookie(request, guard, &[], cookie_name)];
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::http::header::HOST;
    use fanfare_net::Origin;

    use super::super::guard::GuardConfig;
    use super::*;

    fn shown(line: &str) -> Option<String> {
        let request = Request::get("/").header(AUTHORIZATION, line).body(()).unwrap();
        header(&request.into_parts().0).unwrap().map(|presented| match presented {
            Presented::Bearer(text) | Presented::Ticket(text) => text,
        })
    }

    #[test]
    fn an_empty_bearer_is_a_credential() {
        for (line, text) in [
            ("Bearer", ""),
            ("bearer ", ""),
            ("BEARER  x ", "x"),
            ("Bearer\tx", "x"),
            ("Bearer,x", ",x"),
        ] {
            assert_eq!(shown(line).as_deref(), Some(text), "{line:?}");
        }
        for other in ["", "Basic YTpi", "Bearerx y", "x"] {
            assert_eq!(shown(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_siblings_cookie_counts_only_if_allowed() {
        let origins = vec![Origin::parse("https://app.hub.test").unwrap()];
        let guard = Guard::new(GuardConfig { origins, ..GuardConfig::default() });
        let counts = |method: &Method, site: &str, origin: Option<&str>| {
            let mut request = Request::builder().method(method).uri("/").header(HOST, "hub.test");
            request = request.header(COOKIE, "fanfare=x").header(FETCH_SITE, site);
            if let Some(origin) = origin {
                request = request.header(ORIGIN, origin);
            }
            let request = request.body(()).unwrap().into_parts().0;
            cookie(&request, &guard, &[], None).is_some()
        };
        let query = Method::from_bytes(b"QUERY").unwrap();
        for method in [Method::POST, Method::DELETE, query] {
            assert!(counts(&method, "same-origin", None), "{method}");
            assert!(counts(&method, "same-site", Some("https://app.hub.test")), "{method}");
            for origin in [None, Some("null"), Some("https://ugc.hub.test")] {
                assert!(!counts(&method, "same-site", origin), "{method} {origin:?}");
            }
        }
        assert!(counts(&Method::GET, "same-site", Some("https://ugc.hub.test")));
        assert!(!counts(&Method::GET, "cross-site", Some("https://ugc.hub.test")));
    }
}
