//! A namespace, and the names of what it keeps in Redis.

use std::fmt;

/// One hub's events inside a shared Redis: 1 to 64 bytes of visible ASCII without `{` and `}`,
/// which Redis Cluster uses to keep all keys of a namespace in one slot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Box<str>);

/// A text that is not a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a namespace is 1 to {} visible ASCII characters, neither `{{` nor `}}` among them",
    Namespace::MAX_BYTES
)]
pub struct InvalidNamespace;

impl Namespace {
    /// The longest namespace, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks a text and makes it a namespace.
    pub fn parse(text: &str) -> Result<Self, InvalidNamespace> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic() && b != b'{' && b != b'}') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidNamespace)
        }
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The keys of a namespace. All carry its hash tag.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// The stream of events and markers.
    pub(crate) events: Box<str>,
    /// A hash: the current epoch and what was last given out of it, the server it was fenced on, whether
    /// nothing of it can be lost, and how each ancestor ended (`fence.lua`).
    pub(crate) lineage: Box<str>,
    /// A hash: of each id that publishers chose, the position of its earliest event, and behind it that of the
    /// latest if there are several; of each of those but the latest, under a line end and its position, the next.
    pub(crate) ids: Box<str>,
    /// A list: the same ids, each behind its position, in the order of the stream.
    pub(crate) id_order: Box<str>,
    /// The stream of notices.
    pub(crate) notices: Box<str>,
    /// The list of nodes.
    pub(crate) nodes: Box<str>,
    /// Holds nothing; written so that replicas have something to confirm.
    pub(crate) waited: Box<str>,
    idempotency: Box<str>,
    deposit: Box<str>,
}

impl Keys {
    pub(crate) fn of(namespace: &Namespace) -> Self {
        let key = |what: &str| format!("{{{}}}:{what}", namespace.as_str()).into_boxed_str();
        Self {
            events: key("events"),
            lineage: key("lineage"),
            ids: key("ids"),
            id_order: key("ids:order"),
            notices: key("notices"),
            nodes: key("nodes"),
            waited: key("waited"),
            idempotency: key("key:"),
            deposit: key("deposit:"),
        }
    }

    /// Where the answer to an idempotency key is kept.
    pub(crate) fn idempotency(&self, key: &str) -> String {
        [&self.idempotency, key].concat()
    }

    /// Where a deposit is kept.
    pub(crate) fn deposit(&self, name: &str) -> String {
        [&self.deposit, name].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_cannot_leave_its_slot() {
        for bad in ["", "a b", "a{b", "a}b", "é", &"x".repeat(65)] {
            assert_eq!(Namespace::parse(bad), Err(InvalidNamespace), "{bad:?}");
        }
        let keys = Keys::of(&Namespace::parse("chat:eu").unwrap());
        assert_eq!(&*keys.events, "{chat:eu}:events");
        assert_eq!(keys.idempotency("a}b"), "{chat:eu}:key:a}b");
    }
}
