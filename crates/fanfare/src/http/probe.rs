//! For fuzzing: everything that is read out of a request's head before anybody is trusted.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Uri};

use super::client::client;
use super::credentials::{self, Presented};
use super::guard::Guard;
use super::peer::Peer;
use super::subscribe;
use crate::settings::{Flags, Network, Settings};

const PEERS: [Ipv4Addr; 2] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 1)];

/// A hub on this machine behind a proxy on this machine.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let variables = |name: &str| match name {
        "FANFARE_ALLOW_HOST" => Some("hub.example".into()),
        "FANFARE_ALLOW_ORIGIN" => Some("https://app.example".into()),
        "FANFARE_TRUSTED_PROXY" => Some("127.0.0.0/8".into()),
        _ => None,
    };
    Settings::resolve(&Flags::default(), variables, None)
        .unwrap_or_else(|error| panic!("{error:?}"))
});

/// Tries one input: a line with a method and a target, then lines with a header each.
#[cfg_attr(test, allow(unreachable_pub, reason = "only a fuzz target reaches it"))]
pub fn probe_head(input: &[u8]) {
    let Some(head) = parse(input) else { return };
    let guard = Guard::new(&SETTINGS);
    if guard.check(&head).is_ok() {
        assert_meant_for_us(&head);
    }
    let host_of = |peer: Ipv4Addr| Peer { address: SocketAddr::from((peer, 1)), tls: false };
    let trusted: &[Network] = &SETTINGS.trusted_proxy;
    assert_eq!(client(host_of(PEERS[1]), &head.headers, trusted), PEERS[1], "it is no proxy");
    let named = client(host_of(PEERS[0]), &head.headers, trusted);
    let told = head.headers.get_all("x-forwarded-for").iter().next().is_some();
    assert!(told || named == PEERS[0], "{named} came from nowhere");
    for cookie in [None, Some("token")] {
        let found =
            [credentials::header(&head).ok().flatten(), credentials::cookie(&head, &guard, cookie)];
        for Presented::Bearer(text) | Presented::Ticket(text) in found.into_iter().flatten() {
            let holds =
                |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(&*text);
            assert!(head.headers.values().any(holds), "nobody presented {text:?}");
        }
    }
    let query = head.uri.query().unwrap_or_default();
    let _ = credentials::ticket(query);
    subscribe::probe(query);
}

fn parse(input: &[u8]) -> Option<Parts> {
    let mut lines = input.split(|&byte| byte == b'\n');
    let mut words = lines.next()?.splitn(2, |&byte| byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let uri = Uri::try_from(words.next()?).ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let at = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
        request = request.header(name, value);
    }
    request.body(()).ok().map(|request| request.into_parts().0)
}

/// That what the guard lets through names this machine or an allowed host, and comes from a page of
/// the same host, an allowed one, or none.
fn assert_meant_for_us(head: &Parts) {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_ascii_lowercase();
    let host = head.uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    let host = host.or_else(|| head.headers.get(HOST).map(text));
    let Some(host) = host else { return };
    let name = name_in(&host);
    let ours = ["hub.example", "localhost"].contains(&&*name)
        || name.ends_with(".localhost")
        || (name.starts_with("127.") && name.parse::<Ipv4Addr>().is_ok())
        // Every spelling of ::1 and of ::ffff:127.0.0.0/104.
        || (name.starts_with('[') && (name.ends_with("1]") || name.contains("ffff:")));
    assert!(ours, "the guard takes {host:?} for this machine");
    for origin in head.headers.get_all(ORIGIN).iter().map(text) {
        let of = name_in(origin.split_once("://").map_or("", |(_, authority)| authority));
        let of_us = !of.is_empty() && (name.contains(&of) || of.contains(&name));
        assert!(of_us || origin == "https://app.example", "{origin:?} is let in to {host:?}");
    }
}

/// The name or address in an authority, however it is spelt.
fn name_in(authority: &str) -> String {
    let ported = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let name = ported.map_or(authority, |(name, _)| name).trim_end_matches('.');
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        Some(address) => format!("[{address}]"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_input_that_was_dealt_with_is_mistaken_again() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/request_head");
        let inputs = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
        let inputs: Vec<_> = inputs.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(inputs.len() > 3, "{corpus} is empty");
        for input in &inputs {
            assert!(super::parse(input).is_some(), "{:?}", String::from_utf8_lossy(input));
            super::probe_head(input);
        }
    }
}
