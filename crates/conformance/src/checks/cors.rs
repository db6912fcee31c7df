//! CORS: pages of an allowed origin are let in, others are not, and nothing more is said than that.

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure};
use crate::head::RawHead;
use crate::hub::Capability::Cors;
use crate::rule::{fetch, hub};
use crate::subject::Subject;

/// An origin that nobody allows.
const OTHER: &str = "https://attacker.example";
const ALLOW: &str = "access-control-allow-origin";
const RESPONSES: &str = "CORS protocol: HTTP responses";

pub(super) const CHECKS: &[Check] = &[
    must(
        "cors/allowed-origin-may-read",
        fetch(RESPONSES, "the origin itself, or *, in Access-Control-Allow-Origin, once"),
        &[Cors],
        |s| allowed(s, &s.subscribe_from(&origin(s))?),
    ),
    must(
        "cors/allowed-origin-may-publish",
        fetch(RESPONSES, "the origin itself, or *, in Access-Control-Allow-Origin, once"),
        &[Cors],
        |s| {
            let request = s.publication(&s.topic(), "x", None)?.field("Origin", origin(s));
            allowed(s, &s.ask(&request)?.head)
        },
    ),
    should(
        "cors/answer-varies-with-the-origin",
        fetch(
            "CORS protocol and HTTP caches",
            "where the origin is echoed, `Vary: Origin` keeps caches from mixing answers",
        ),
        &[Cors],
        varies,
    ),
    must(
        "cors/other-origin-may-not-read",
        hub("what allows one origin allows no other"),
        &[Cors],
        |s| not_allowed(&s.subscribe_from(OTHER)?),
    ),
    must(
        "cors/similar-origin-may-not-read",
        hub("origins are compared as a whole: no prefix, no suffix, no other scheme or port"),
        &[Cors],
        similar,
    ),
    must(
        "cors/null-origin-may-not-read",
        hub("`null` is the origin of every sandboxed page and local file"),
        &[Cors],
        |s| not_allowed(&s.subscribe_from("null")?),
    ),
    must(
        "cors/no-star-with-credentials",
        fetch(
            "CORS protocol and credentials",
            "with credentials, * is no permission, and is never meant",
        ),
        &[],
        no_star,
    ),
    should(
        "cors/preflight-lets-a-client-resume",
        fetch(
            "CORS-safelisted request-header",
            "Last-Event-ID is not safelisted: a client on fetch needs leave for it",
        ),
        &[Cors],
        |s| preflight(s, "GET", "last-event-id"),
    ),
    should(
        "cors/preflight-lets-a-page-publish",
        fetch("CORS-preflight fetch", "a publish with a content type of its own needs leave"),
        &[Cors],
        |s| preflight(s, "POST", "content-type"),
    ),
    must(
        "cors/preflight-of-another-origin-is-not-allowed",
        hub("what allows one origin allows no other"),
        &[Cors],
        other_preflight,
    ),
    hub_level(
        "cors/unasked-for-nothing-is-said",
        hub("a request without Origin is not answered with another's permission"),
        &[Cors],
        unasked,
    ),
];

impl Subject<'_> {
    fn subscribe_from(&self, origin: &str) -> CheckResult<RawHead> {
        Ok(self.open_any(&self.subscription(&self.topic()).field("Origin", origin))?.head)
    }
}

fn origin(s: &Subject<'_>) -> String {
    s.hub.cors_origin.clone().unwrap_or_default()
}

fn allowed(s: &Subject<'_>, head: &RawHead) -> CheckResult {
    let value = head.field(ALLOW);
    let good = head.is_success() && (value == s.hub.cors_origin || value.as_deref() == Some("*"));
    ensure(good, || format!("{}, {}", head.status, head.shown(ALLOW)))
}

/// Refused outright, or without leave for the page to read it.
fn not_allowed(head: &RawHead) -> CheckResult {
    ensure(!head.is_success() || head.field(ALLOW).is_none(), || {
        format!("{}, {}", head.status, head.shown(ALLOW))
    })
}

fn varies(s: &Subject<'_>) -> CheckResult {
    let head = s.subscribe_from(&origin(s))?;
    let good = head.field(ALLOW).as_deref() == Some("*") || head.lists("vary", "origin");
    ensure(good, || head.shown("vary"))
}

fn similar(s: &Subject<'_>) -> CheckResult {
    let origin = origin(s);
    let (scheme, host) = origin.split_once("://").unwrap_or(("https", &origin));
    let other_scheme = if scheme == "https" { "http" } else { "https" };
    for similar in [
        format!("{origin}.attacker.example"),
        format!("{scheme}://attacker{host}"),
        format!("{scheme}://attacker.{host}"),
        format!("{other_scheme}://{host}"),
        format!("{origin}:8443"),
    ] {
        crate::subject::in_case(&similar, not_allowed(&s.subscribe_from(&similar)?))?;
    }
    Ok(())
}

fn no_star(s: &Subject<'_>) -> CheckResult {
    for origin in s.hub.cors_origin.as_deref().into_iter().chain([OTHER]) {
        let head = s.subscribe_from(origin)?;
        let credentials = head.lists("access-control-allow-credentials", "true");
        let star = head.field(ALLOW).as_deref() == Some("*");
        ensure(!(credentials && star), || format!("{} and credentials", head.shown(ALLOW)))?;
    }
    Ok(())
}

fn preflight_head(
    s: &Subject<'_>,
    origin: &str,
    method: &str,
    field: &str,
) -> CheckResult<RawHead> {
    let request = match method {
        "GET" => s.subscription(&s.topic()),
        _ => {
            let publish = s.publication(&s.topic(), "x", None)?;
            s.subscription(&s.topic()).target(publish.target)
        }
    };
    let request = request
        .method("OPTIONS")
        .field("Origin", origin)
        .field("Access-Control-Request-Method", method)
        .field("Access-Control-Request-Headers", field);
    Ok(s.ask(&request)?.head)
}

fn preflight(s: &Subject<'_>, method: &str, field: &str) -> CheckResult {
    let head = preflight_head(s, &origin(s), method, field)?;
    allowed(s, &head)?;
    let (methods, fields) = ("access-control-allow-methods", "access-control-allow-headers");
    let named = |list: &str, word: &str| head.lists(list, word) || head.lists(list, "*");
    // GET and POST need no leave by name.
    ensure(named(fields, field), || head.shown(fields))?;
    ensure(matches!(method, "GET" | "POST") || named(methods, method), || head.shown(methods))
}

fn other_preflight(s: &Subject<'_>) -> CheckResult {
    not_allowed(&preflight_head(s, OTHER, "POST", "content-type")?)
}

fn unasked(s: &Subject<'_>) -> CheckResult {
    let head = s.subscribe(&s.topic())?.head;
    let value = head.field(ALLOW);
    ensure(value.as_deref().is_none_or(|value| value == "*"), || head.shown(ALLOW))
}
