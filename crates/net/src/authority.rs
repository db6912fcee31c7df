//! An authority: the host of a URL or a header, and perhaps its port (RFC 3986, 3.2).

use std::net::{IpAddr, Ipv6Addr};

use http::uri::Authority;

/// Splits off the port. Nothing if what stands behind the colon is no port.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = authority[after_brackets..].find(':') else {
        return Some((authority, None));
    };
    let (host, port) = authority.split_at(after_brackets + colon);
    let port = &port[1..];
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((host, Some(port.parse().ok()?)))
}

/// A host as a browser spells it. Nothing if a browser would not send it as a host.
pub(crate) fn normal_host(host: &str) -> Option<String> {
    if let Some(address) = in_brackets(host) {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| host.to_owned())
}

/// Whether a host names this machine itself: its addresses, and the names that are kept for it
/// (RFC 6761, 6.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    match address(host) {
        Some(address) => address.to_canonical().is_loopback(),
        None => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// The address that a host is, if it is no name.
pub(crate) fn address(host: &str) -> Option<IpAddr> {
    match in_brackets(host) {
        Some(address) => address.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
        None => host.parse().ok(),
    }
}

/// Whether there is a host and perhaps a port, and nothing else: what stands before an `@` may be a
/// password, and so may a port that is no number, where a `/` cuts it off from its `@`.
pub(crate) fn is_plain(authority: &Authority) -> bool {
    let text = authority.as_str();
    let port = authority.port_u16().is_some() || text == authority.host();
    !text.contains('@') && !authority.host().is_empty() && port
}

fn in_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
}
