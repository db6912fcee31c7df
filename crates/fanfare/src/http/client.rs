//! The client: whom a request comes from, where its peer may be a proxy.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};

use super::peer::Peer;
use crate::settings::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers by which a proxy says that it speaks for someone else.
const SPEAKS_FOR_ANOTHER: [HeaderName; 3] =
    [FORWARDED, FORWARDED_FOR, HeaderName::from_static("x-real-ip")];

/// Whether a proxy says that it has passed a request on.
pub(super) fn is_passed_on(headers: &HeaderMap) -> bool {
    SPEAKS_FOR_ANOTHER.iter().any(|name| headers.contains_key(name))
}

/// The address of the client: the peer's own, or the last one that trusted proxies have not put
/// there about one another. What stands further left, anybody may have written.
pub(super) fn client(peer: Peer, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut client = peer.address.ip().to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops {
        let Some(address) = parse_hop(hop.trim()) else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, perhaps with a port, as proxies write them.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    address.or_else(|| bare().map(IpAddr::from)).map(|address| address.to_canonical())
}

/// What limits count as one address: an IPv6 subscriber commands the whole of its /64.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse_network;

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8"].map(|range| parse_network(range).unwrap());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let peer = Peer { address: peer.parse().unwrap(), tls: false };
        client(peer, &headers, &trusted).to_string()
    }

    #[test]
    fn a_client_gives_itself_another_address() {
        assert_eq!(client_of("192.0.2.1:1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client_of("127.0.0.1:1", &["198.51.100.9, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client_of("127.0.0.1:1", &["198.51.100.9", "192.0.2.7, 10.0.0.3"]), "192.0.2.7");
        assert_eq!(client_of("127.0.0.1:1", &["192.0.2.7, junk, 10.0.0.3"]), "10.0.0.3");
        assert_eq!(client_of("127.0.0.1:1", &[]), "127.0.0.1");
        assert_eq!(client_of("[::ffff:127.0.0.1]:1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn a_client_counts_anew_for_each_address_of_its_network() {
        let of = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
