//! Topics read as URLs: once for all the patterns that a thread asks of one.
//!
//! What must hold: the parts are those of the URL that a topic is, resolved against the hub's. A topic that is written
//! as such a URL would be already, as most are, is not parsed; what is plain is decided narrowly.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use fanfare_event::{Reading, Topic};
use url::Url;

use crate::hub_url::MercureUrl;
use crate::topic::name_of;

/// A topic as a URL.
#[derive(Debug)]
pub(crate) struct ReadUrl {
    /// Its host, if it has one, and its path.
    from_host: Box<str>,
    host_length: usize,
    rest: UrlRest,
}

/// What else there is to it.
#[derive(Debug)]
enum UrlRest {
    /// Nothing but a scheme.
    Scheme(&'static str),
    Url(Box<Url>),
}

/// The parts of a URL of which most patterns say nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UrlPart {
    Protocol,
    Username,
    Password,
    Port,
    Search,
    Hash,
}

impl ReadUrl {
    /// Reads the name of a topic; `None` if it is no URL.
    pub(crate) fn of(hub: &MercureUrl, name: &str) -> Option<Self> {
        if let Some((scheme, from_host, host_length)) = plain(name) {
            let rest = UrlRest::Scheme(scheme);
            return Some(Self { from_host: name[from_host].into(), host_length, rest });
        }
        let url = hub.resolve(name)?;
        let host = url.host_str().unwrap_or_default();
        let from_host = [host, url.path()].concat().into();
        Some(Self { from_host, host_length: host.len(), rest: UrlRest::Url(Box::new(url)) })
    }

    pub(crate) fn host(&self) -> &str {
        &self.from_host[..self.host_length]
    }

    pub(crate) fn path(&self) -> &str {
        &self.from_host[self.host_length..]
    }

    pub(crate) fn part(&self, part: UrlPart) -> &str {
        let url = match (&self.rest, part) {
            (UrlRest::Url(url), _) => url,
            (UrlRest::Scheme(scheme), UrlPart::Protocol) => return scheme,
            (UrlRest::Scheme(_), _) => return "",
        };
        match part {
            UrlPart::Protocol => url.scheme(),
            UrlPart::Username => url.username(),
            UrlPart::Password => url.password().unwrap_or_default(),
            UrlPart::Port => url::quirks::port(url),
            UrlPart::Search => url.query().unwrap_or_default(),
            UrlPart::Hash => url.fragment().unwrap_or_default(),
        }
    }
}

/// The scheme, where host and path stand, and the length of the host, of an address on the web in whose host and path a
/// parser would change nothing, without anything else. `None` for one of which that is not plain to see.
fn plain(name: &str) -> Option<(&'static str, Range<usize>, usize)> {
    let (scheme, from_host) = if let Some(rest) = name.strip_prefix("https://") {
        ("https", rest)
    } else {
        ("http", name.strip_prefix("http://")?)
    };
    let host_length = from_host.find('/')?;
    let (host, path) = from_host.split_at(host_length);
    // Labels that begin with a letter are no numbers, of which addresses are made.
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with("xn--")
    };
    // Segments that begin with a dot may lead elsewhere.
    let is_kept =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    let is_plain =
        host.split('.').all(is_label) && path.bytes().all(is_kept) && !path.contains("/.");
    is_plain.then(|| (scheme, name.len() - from_host.len()..name.len(), host_length))
}

/// Topics as URLs, read from their host on, or from their path on where the host may be anything.
#[derive(Debug)]
pub(crate) struct Urls {
    hub: Arc<MercureUrl>,
    from: UrlStart,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum UrlStart {
    Host,
    Path,
}

impl Urls {
    pub(crate) fn new(hub: &Arc<MercureUrl>, from: UrlStart) -> Self {
        Self { hub: Arc::clone(hub), from }
    }
}

impl Reading for Urls {
    fn name(&self) -> &'static str {
        match self.from {
            UrlStart::Host => "URL from its host on",
            UrlStart::Path => "URL from its path on",
        }
    }

    fn read(&self, topic: &Topic, with: &mut dyn FnMut(&str)) {
        let Some(url) = read(&self.hub, topic) else { return };
        with(match self.from {
            UrlStart::Host => &url.from_host,
            UrlStart::Path => url.path(),
        });
    }
}

/// What a thread has read last.
struct Last {
    hub: Arc<MercureUrl>,
    topic: Topic,
    url: Option<Rc<ReadUrl>>,
}

/// A topic as a URL; `None` for one that is none.
pub(crate) fn read(hub: &Arc<MercureUrl>, topic: &Topic) -> Option<Rc<ReadUrl>> {
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    LAST.with_borrow_mut(|last| {
        let known = last.as_ref().is_some_and(|l| l.topic == *topic && Arc::ptr_eq(&l.hub, hub));
        if !known {
            let url = ReadUrl::of(hub, &name_of(topic)).map(Rc::new);
            *last = Some(Last { hub: Arc::clone(hub), topic: topic.clone(), url });
        }
        last.as_ref().and_then(|last| last.url.clone())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matcher::tests::hub;

    #[test]
    fn what_a_parser_would_change_is_not_plain() {
        for name in [
            "https://EXAMPLE.com/a",
            "https://example.com",
            "https://example.com:8443/a",
            "https://u@example.com/a",
            "https://example.com/a/../b",
            "https://example.com/a/.",
            "https://example.com/%2e%2e/a",
            "https://example.com/a?b",
            "https://example.com/a#b",
            "https://example.com/a b",
            "https://example.com\\a/b",
            "https://1.2/a",
            "https://a.0x7f/a",
            "https://xn--a/a",
            "https://example.com./a",
            "https:///a",
            "https://[::1]/a",
            "/a",
        ] {
            assert!(plain(name).is_none(), "{name}");
        }
        assert!(plain("https://a-1.example.com/Orders/1.json").is_some());
    }

    proptest! {
        #[test]
        fn a_plain_url_has_the_parts_the_parser_finds(
            name in r"(https?://|HTTP://)[a-z0-9.x-]{0,12}(:80)?(/|\\|\?)[A-Za-z0-9/._~%:@#? -]{0,12}",
        ) {
            let Some((scheme, from_host, length)) = plain(&name) else { return Ok(()) };
            let url = hub().resolve(&name).unwrap();
            let (host, path) = name[from_host].split_at(length);
            prop_assert_eq!(
                (scheme, Some(host), path, url::quirks::port(&url)),
                (url.scheme(), url.host_str(), url.path(), "")
            );
            prop_assert_eq!((url.username(), url.password()), ("", None));
            prop_assert_eq!((url.query(), url.fragment()), (None, None));
        }
    }
}
