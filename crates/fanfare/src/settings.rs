//! The settings, and the values that HTTP takes of them.

pub(crate) use fanfare_net::{Host, Network, Origin};

/// An origin as a request's header gives it; `None` if it is not one that could be allowed.
pub(crate) fn parse_origin(text: &str) -> Option<Origin> {
    Origin::parse(text).ok()
}

/// A host as a request's header gives it.
pub(crate) fn parse_host(text: &str) -> Option<Host> {
    Host::parse(text).ok()
}

#[cfg(any(test, fuzzing))]
pub(crate) fn parse_network(text: &str) -> Option<Network> {
    Network::parse(text).ok()
}
