//! For fuzzing: everything that is read out of a request's head before anybody is trusted.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response};
use fanfare_net::{Host, Network, Origin};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::runtime::{Builder, Runtime};

use crate::access::{
    Guard, GuardConfig, Peer, Presented, UNKNOWN, client, is_passed_on, presented,
};
use crate::{dialect, query};

const PEERS: [Ipv4Addr; 2] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 1)];

/// A hub on this machine behind a proxy on this machine.
static TRUSTED: LazyLock<Vec<Network>> =
    LazyLock::new(|| Vec::from_iter(Network::parse("127.0.0.0/8")));
static GUARD: LazyLock<Guard> = LazyLock::new(|| {
    Guard::new(GuardConfig {
        hosts: Vec::from_iter(Host::parse("hub.example")),
        origins: Vec::from_iter(Origin::parse("https://app.example")),
        private: true,
        ..GuardConfig::default()
    })
});

/// What the proxy knows its client's address to be, whatever that says.
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// How a request's bytes reach the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeRoute {
    Straight,
    /// Through a proxy that puts the address behind what is there (nginx).
    Appended,
    /// Through one that gives it a line of its own (HAProxy).
    OnItsOwnLine,
}

/// Tries one input: a line with a method and a target, then lines with a header each. They are sent
/// to hyper as bytes, as a socket would.
#[cfg_attr(test, allow(unreachable_pub, reason = "only a fuzz target reaches it"))]
pub fn probe_head(input: &[u8]) {
    let trusted: &[Network] = &TRUSTED;
    let [proxy, elsewhere] =
        PEERS.map(|peer| Peer { address: SocketAddr::from((peer, 1)), tls: false });
    for way in [ProbeRoute::Appended, ProbeRoute::OnItsOwnLine] {
        if let Some(head) = read(input, way) {
            let found = client(proxy, &head.headers, trusted);
            assert_eq!(found, CLIENT, "a client gives itself another address: {way:?}");
        }
    }
    let Some(head) = read(input, ProbeRoute::Straight) else { return };
    let guard = &*GUARD;
    if guard.check(&head).is_ok() {
        assert_meant_for_us(&head);
    }
    assert_eq!(client(elsewhere, &head.headers, trusted), PEERS[1], "it is no proxy");
    let named = client(proxy, &head.headers, trusted);
    let nobody = if is_passed_on(&head.headers) { UNKNOWN } else { IpAddr::from(PEERS[0]) };
    let told = head.headers.get_all("x-forwarded-for").iter().any(|line| !line.is_empty());
    assert!(told || named == nobody, "{named} came from nowhere");
    let unnamed = client(proxy, &head.headers, &[]);
    assert_eq!(unnamed, nobody, "a proxy that nobody named says who somebody is");
    for cookie in [None, Some("token")] {
        for Presented::Bearer(text) | Presented::Ticket(text) in presented(&head, guard, cookie) {
            let holds =
                |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(&*text);
            assert!(head.headers.values().any(holds), "nobody presented {text:?}");
        }
    }
    let query = head.uri.query().unwrap_or_default();
    let _ = query::find(query, "ticket");
    dialect::probe(query);
}

/// What hyper makes of an input that comes this way; `None` where it refuses it.
fn read(input: &[u8], way: ProbeRoute) -> Option<Parts> {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().build().unwrap_or_else(|e| panic!("{e}")));
    let found = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&found);
    let service = service_fn(move |request: Request<Incoming>| {
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.into_parts().0);
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    RUNTIME.block_on(async {
        let bytes = in_transit(input, way);
        // Room for the request, and for the answer that nobody reads.
        let (mut client, hub) = duplex(bytes.len() + 1024);
        client.write_all(&bytes).await.ok()?;
        client.shutdown().await.ok()?;
        // However it ends, what was understood has been seen.
        let served =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(hub), service);
        let _ = served.await;
        Some(())
    })?;
    found.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The bytes of a request as the hub receives them.
fn in_transit(input: &[u8], way: ProbeRoute) -> Vec<u8> {
    let lines = input.split(|&byte| byte == b'\n');
    // A proxy's own line would not belong to the head otherwise.
    let lines = lines.take_while(|line| !line.trim_ascii().is_empty());
    let mut lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    if let Some(first) = lines.first_mut() {
        first.extend_from_slice(b" HTTP/1.1");
    }
    let name =
        |line: &[u8]| line.split(|&byte| byte == b':').next().map(<[u8]>::to_ascii_lowercase);
    let theirs = |line: &&mut Vec<u8>| name(line).is_some_and(|n| n == b"x-forwarded-for");
    let last = lines.iter_mut().skip(1).filter(theirs).last();
    match (way, last) {
        (ProbeRoute::Straight, _) => {}
        (ProbeRoute::Appended, Some(line)) => {
            line.extend_from_slice(format!(", {CLIENT}").as_bytes());
        }
        (ProbeRoute::Appended | ProbeRoute::OnItsOwnLine, _) => {
            lines.push(format!("X-Forwarded-For: {CLIENT}").into_bytes());
        }
    }
    lines.push(Vec::new());
    lines.push(Vec::new());
    lines.join(&b"\r\n"[..])
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What stands in a header that names addresses: pieces of them, and any bytes.
    fn addresses() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"127.0.0.1".to_vec()),
            Just(b"[::1]:80".to_vec()),
            Just(b"10.0.0.1".to_vec()),
            Just(b", ".to_vec()),
            Just(b" \t,".to_vec()),
            vec(any::<u8>(), 0..6),
        ];
        vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nobody_gives_itself_another_address(lines in vec((0..4usize, addresses()), 0..4)) {
            let names = ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP"];
            let mut input = b"GET /\nHost: hub.example".to_vec();
            for (name, value) in lines {
                input.extend_from_slice(format!("\n{}: ", names[name]).as_bytes());
                input.extend(value.into_iter().filter(|byte| *byte != b'\n'));
            }
            super::probe_head(&input);
        }
    }

    #[test]
    fn no_input_that_was_dealt_with_is_mistaken_again() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/request_head");
        let inputs = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
        let inputs: Vec<_> = inputs.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(inputs.len() > 3, "{corpus} is empty");
        for input in &inputs {
            let understood = super::read(input, super::ProbeRoute::Straight).is_some();
            assert!(understood, "{:?}", String::from_utf8_lossy(input));
            super::probe_head(input);
        }
    }
}
