//! Header fields of a stream: what makes it one for browsers, and lets it through proxies.

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure};
use crate::head::RawHead;
use crate::rule::{Rule, RuleSource, html, hub, rfc9110};
use crate::subject::Subject;

const CACHE: Rule = Rule {
    source: RuleSource::Html,
    section: "9.2.7",
    says: "a cache must not give out an old stream; `Cache-Control: no-store` or `no-cache` says so",
};

pub(super) const CHECKS: &[Check] = &[
    must(
        "headers/type-is-text-event-stream",
        html("9.2.3", "any other content type fails the connection for good"),
        &[],
        content_type,
    ),
    must(
        "headers/charset-if-any-is-utf8",
        html("9.2.5", "streams are UTF-8, and no other charset may be named"),
        &[],
        charset,
    ),
    should("headers/caches-are-kept-out", CACHE, &[], |s| {
        holds(s, "cache-control", |head| {
            head.lists("cache-control", "no-store") || head.lists("cache-control", "no-cache")
        })
    }),
    hub_level(
        "headers/proxies-change-nothing",
        hub("`no-transform` keeps proxies from compressing, and so from holding back"),
        &[],
        |s| holds(s, "cache-control", |head| head.lists("cache-control", "no-transform")),
    ),
    should(
        "headers/nginx-is-told-not-to-buffer",
        hub("`X-Accel-Buffering: no` is how nginx and others are told"),
        &[],
        |s| holds(s, "x-accel-buffering", |head| head.lists("x-accel-buffering", "no")),
    ),
    must(
        "headers/nothing-is-encoded-unasked",
        rfc9110("12.5.3", "a client that takes identity only is sent that"),
        &[],
        unencoded,
    ),
    hub_level(
        "headers/compression-holds-nothing-back",
        hub("a browser always asks for gzip; events arrive all the same"),
        &[],
        compressed,
    ),
    must(
        "headers/accept-of-an-event-source-is-served",
        html("9.2.3", "an EventSource sends `Accept: text/event-stream`"),
        &[],
        |s| accepts(s, Some("text/event-stream")),
    ),
    should(
        "headers/any-accept-is-served",
        rfc9110("12.5.1", "without Accept, or with */*, any type is acceptable"),
        &[],
        |s| {
            accepts(s, None)?;
            accepts(s, Some("*/*"))
        },
    ),
];

fn head(s: &Subject<'_>) -> CheckResult<RawHead> {
    Ok(s.subscribe(&s.topic())?.head)
}

fn holds(s: &Subject<'_>, name: &str, test: impl Fn(&RawHead) -> bool) -> CheckResult {
    let head = head(s)?;
    ensure(test(&head), || head.shown(name))
}

fn content_type(s: &Subject<'_>) -> CheckResult {
    holds(s, "content-type", |head| {
        let value = head.field("content-type").unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("text/event-stream")
    })
}

fn charset(s: &Subject<'_>) -> CheckResult {
    holds(s, "content-type", |head| {
        let value = head.field("content-type").unwrap_or_default().to_ascii_lowercase();
        value.split_once("charset=").is_none_or(|(_, charset)| {
            charset.trim_matches(['"', ' ', ';']).eq_ignore_ascii_case("utf-8")
        })
    })
}

fn unencoded(s: &Subject<'_>) -> CheckResult {
    let request = s.subscription(&s.topic()).field("Accept-Encoding", "identity");
    let head = s.open(&request)?.head;
    let plain = head.field("content-encoding").is_none_or(|coding| coding == "identity");
    ensure(plain, || head.shown("content-encoding"))
}

/// What is compressed cannot be read here, but it has to come.
fn compressed(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let request = s.subscription(&topic).field("Accept-Encoding", "gzip, deflate, br, zstd");
    let mut stream = s.open(&request)?;
    if stream.head.field("content-encoding").is_none() {
        return s.fenced(&mut stream, &topic).map(drop);
    }
    stream.until(std::time::Instant::now() + s.quiet(), |_| false);
    let begun = stream.raw.len();
    s.publish(&topic, "x")?;
    ensure(stream.until(s.soon(), |stream| stream.raw.len() > begun), || stream.shown())
}

fn accepts(s: &Subject<'_>, accept: Option<&str>) -> CheckResult {
    let topic = s.topic();
    let mut request = s.subscription(&topic).without("Accept");
    if let Some(accept) = accept {
        request = request.field("Accept", accept);
    }
    let mut stream = s.open(&request)?;
    s.fenced(&mut stream, &topic).map(drop)
}
