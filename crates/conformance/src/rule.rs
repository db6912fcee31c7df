//! Where a check's claim comes from: a standard and its section, or what hubs are expected to do.

use std::fmt;

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleSource {
    /// The HTML standard; section 9.2 is about server-sent events.
    Html,
    /// HTTP Semantics.
    Rfc9110,
    /// HTTP/1.1.
    Rfc9112,
    /// The Fetch standard, for CORS.
    Fetch,
    /// No standard: what makes a hub worth relying on.
    Hub,
}

impl RuleSource {
    /// Where it can be read; nothing for what no standard says.
    #[must_use]
    pub fn url(self) -> Option<&'static str> {
        match self {
            Self::Html => Some("https://html.spec.whatwg.org/multipage/server-sent-events.html"),
            Self::Rfc9110 => Some("https://www.rfc-editor.org/rfc/rfc9110"),
            Self::Rfc9112 => Some("https://www.rfc-editor.org/rfc/rfc9112"),
            Self::Fetch => Some("https://fetch.spec.whatwg.org/"),
            Self::Hub => None,
        }
    }
}

/// A rule, in its source's section, and what it says in short.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Who says so.
    pub source: RuleSource,
    /// Where; empty for what no standard says.
    pub section: &'static str,
    /// What, in our words.
    pub says: &'static str,
}

pub(crate) const fn html(section: &'static str, says: &'static str) -> Rule {
    Rule { source: RuleSource::Html, section, says }
}

pub(crate) const fn rfc9110(section: &'static str, says: &'static str) -> Rule {
    Rule { source: RuleSource::Rfc9110, section, says }
}

pub(crate) const fn rfc9112(section: &'static str, says: &'static str) -> Rule {
    Rule { source: RuleSource::Rfc9112, section, says }
}

pub(crate) const fn fetch(section: &'static str, says: &'static str) -> Rule {
    Rule { source: RuleSource::Fetch, section, says }
}

pub(crate) const fn hub(says: &'static str) -> Rule {
    Rule { source: RuleSource::Hub, section: "", says }
}

impl fmt::Display for RuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Html => "HTML",
            Self::Rfc9110 => "RFC 9110",
            Self::Rfc9112 => "RFC 9112",
            Self::Fetch => "Fetch",
            Self::Hub => "hub",
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section {
            "" => write!(f, "{}", self.source),
            section => write!(f, "{} {section}", self.source),
        }
    }
}
