//! The client: whom a request comes from, where its peer may be a proxy.
//!
//! What must hold: nobody gives itself another address, and no request that came through a proxy
//! passes for one of the hub's own machine or of the proxy itself. A client whose address cannot be
//! read is [`UNKNOWN`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};
use fanfare_net::Network;

use super::peer::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whoever cannot be told from others: one address for all of them, and not this machine's.
pub(crate) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Headers by which a proxy says that it speaks for someone else.
const SPEAKS_FOR_ANOTHER: [HeaderName; 3] =
    [FORWARDED, FORWARDED_FOR, HeaderName::from_static("x-real-ip")];

/// Whether a proxy says that it has passed a request on.
pub(crate) fn is_passed_on(headers: &HeaderMap) -> bool {
    // Hashing three names costs more than comparing those that are there: there are a handful.
    headers.keys().any(|name| SPEAKS_FOR_ANOTHER.contains(name))
}

/// The address of the client: the peer's own, or the last one that trusted proxies have not put
/// there about one another. What stands further left, anybody may have written.
pub(crate) fn client(peer: Peer, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let peer = peer.address.ip().to_canonical();
    if !is_trusted(peer) {
        // A proxy on this machine that nobody has named: behind it may be anyone.
        return if peer.is_loopback() && is_passed_on(headers) { UNKNOWN } else { peer };
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    // Empty members of a list mean nothing (RFC 9110, 5.6.1.2).
    let hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
    let mut last = None;
    for hop in hops {
        let address = parse_hop(hop).unwrap_or(UNKNOWN);
        last = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    match last {
        Some(client) => client,
        // It speaks for someone, and does not say for whom.
        None if is_passed_on(headers) => UNKNOWN,
        None => peer,
    }
}

/// An address, perhaps with a port, as proxies write them.
fn parse_hop(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    address.or_else(|| bare().map(IpAddr::from)).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let lines: Vec<_> = forwarded.iter().map(|line| line.as_bytes()).collect();
        client_of_bytes(peer, &lines)
    }

    fn client_of_bytes(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8"].map(|range| Network::parse(range).unwrap());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        let peer = Peer { address: peer.parse().unwrap(), tls: false };
        client(peer, &headers, &trusted).to_string()
    }

    #[test]
    fn no_client_gives_itself_another_address() {
        assert_eq!(client_of("192.0.2.1:1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client_of("127.0.0.1:1", &["198.51.100.9, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client_of("127.0.0.1:1", &["198.51.100.9", "192.0.2.7, 10.0.0.3"]), "192.0.2.7");
        assert_eq!(client_of("127.0.0.1:1", &["192.0.2.7, junk, 10.0.0.3"]), "0.0.0.0");
        assert_eq!(client_of("127.0.0.1:1", &[]), "127.0.0.1");
        assert_eq!(client_of("[::ffff:127.0.0.1]:1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn a_client_whose_address_cannot_be_read_is_not_taken_for_the_proxy() {
        // What nginx makes of it: the client's own bytes, and what it knows.
        assert_eq!(client_of_bytes("127.0.0.1:1", &[b"\xff, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client_of_bytes("127.0.0.1:1", &[b"\xff", b"192.0.2.7, 10.0.0.3"]), "192.0.2.7");
        for unreadable in
            [&b"\xff"[..], b"192.0.2.7\xe9", b"unknown", b"_hidden", b"\xff, 127.0.0.1"]
        {
            assert_eq!(client_of_bytes("127.0.0.1:1", &[unreadable]), "0.0.0.0", "{unreadable:?}");
        }
        assert_eq!(client_of("127.0.0.1:1", &[" , 192.0.2.7, ,"]), "192.0.2.7");
        assert_eq!(client_of("127.0.0.1:1", &[" , "]), "0.0.0.0", "it speaks for somebody");
    }

    #[test]
    fn a_proxy_that_nobody_named_makes_nobody_one_of_this_machine() {
        let of = |name: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_static("192.0.2.7"));
            let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), tls: false };
            client(peer, &headers, &[])
        };
        for name in ["x-forwarded-for", "x-real-ip", "forwarded"] {
            assert_eq!(of(name), UNKNOWN);
        }
        assert!(of("x-other").is_loopback());
    }
}
