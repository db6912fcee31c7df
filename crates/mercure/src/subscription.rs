//! A subscription: what a subscriber asks for, in its address or in a form.
//!
//! What must hold: reading one takes a few milliseconds at most, whatever it asks for.

use std::collections::HashSet;
use std::sync::Arc;

use fanfare_event::{InvalidSelector, Selector};

use crate::form::{self, InvalidForm};
use crate::hub_url::MercureUrl;
use crate::matcher::{InvalidMatcher, Matcher, MatcherType, NativeMatcher};

/// What a subscriber asks for.
#[derive(Debug, Clone)]
pub struct MercureSubscription {
    /// The topics it wants: those that one of these matches. There is at least one, and each once.
    pub matchers: Vec<Matcher>,
    /// The last id it has heard of, if that is in its address or its form.
    pub last_event_id: Option<String>,
}

/// Why something is not a subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMercureSubscription {
    /// It is not a form.
    #[error(transparent)]
    Form(#[from] InvalidForm),
    /// It names no topic.
    #[error("a matcher is missing: `match`, `match_urlpattern` or `topic`")]
    NoMatcher,
    /// It names more than a hub takes.
    #[error("a subscription has at most {} matchers", Selector::MAX_TOPICS)]
    TooManyMatchers,
    /// Compiling its patterns takes more than a hub does for one request.
    #[error("the patterns of a subscription take too much to compile together")]
    TooMuchToCompile,
    /// A parameter begins with `match`, and is no type of matcher.
    #[error("{0:?} is not a matcher type: use `match`, `match_exact` or `match_urlpattern`")]
    UnknownType(String),
    /// A matcher is none.
    #[error("`{name}`: {why}")]
    Matcher {
        /// Of which parameter.
        name: &'static str,
        /// What is wrong.
        why: InvalidMatcher,
    },
    /// Together they are more than a hub takes.
    #[error(transparent)]
    Selector(#[from] InvalidSelector),
}

impl MercureSubscription {
    /// The most that compiling its patterns may take, in bytes of regular expressions: two to four milliseconds.
    const MAX_WORK: usize = 12 * 1024;

    /// Reads the query of an address and a form, which count as one, at a hub with this URL.
    ///
    /// # Errors
    ///
    /// See [`InvalidMercureSubscription`].
    pub fn parse(
        query: &str,
        form: Option<&str>,
        hub: &Arc<MercureUrl>,
    ) -> Result<Self, InvalidMercureSubscription> {
        let mut matchers = Vec::new();
        let (mut seen, mut patterns, mut work) = (HashSet::new(), 0, 0);
        let mut last_event_id: Option<String> = None;
        for pair in form::pairs(query).chain(form::pairs(form.unwrap_or_default())) {
            let (name, value) = pair?;
            let (name, kind) = match &*name {
                "match" => ("match", MatcherType::Exact),
                "match_exact" => ("match_exact", MatcherType::Exact),
                "match_urlpattern" => ("match_urlpattern", MatcherType::UrlPattern),
                "topic" => ("topic", MatcherType::Older),
                name if is_cursor(name) => {
                    // The first is the address's.
                    last_event_id.get_or_insert(value);
                    continue;
                }
                _ if is_reserved(&name) => {
                    return Err(InvalidMercureSubscription::UnknownType(name));
                }
                _ => continue,
            };
            if matchers.len() == Selector::MAX_TOPICS {
                return Err(InvalidMercureSubscription::TooManyMatchers);
            }
            if !seen.insert((kind, value.clone())) {
                continue;
            }
            let matcher = Matcher::parse(kind, &value, hub);
            let matcher =
                matcher.map_err(|why| InvalidMercureSubscription::Matcher { name, why })?;
            // No more is compiled than is accepted, but for one.
            patterns += usize::from(!matches!(matcher, Matcher::Exact(..)));
            if patterns > Selector::MAX_PATTERNS {
                return Err(InvalidSelector::TooManyPatterns(patterns).into());
            }
            work += matcher.work();
            if work > Self::MAX_WORK {
                return Err(InvalidMercureSubscription::TooMuchToCompile);
            }
            matchers.push(matcher);
        }
        if matchers.is_empty() {
            return Err(InvalidMercureSubscription::NoMatcher);
        }
        Ok(Self { matchers, last_event_id })
    }

    /// The same in the hub's own words.
    ///
    /// # Errors
    ///
    /// There are more patterns than a subscription may have.
    pub fn selector(&self) -> Result<Selector, InvalidSelector> {
        let (mut topics, mut patterns) = (Vec::new(), Vec::new());
        for matcher in &self.matchers {
            match matcher.clone().into_native() {
                NativeMatcher::Topic(topic) => topics.push(topic),
                NativeMatcher::Pattern(pattern) => patterns.push(pattern),
            }
        }
        Selector::of(topics, patterns)
    }
}

/// The last id that a subscriber says it has heard of, in a query or a form that may be no subscription.
pub fn last_event_id(form: &str) -> Option<String> {
    form::pairs(form).flatten().find_map(|(name, value)| is_cursor(&name).then_some(value))
}

/// Whether a parameter of this name holds the last id; the second spelling is that of before 1.0.
fn is_cursor(name: &str) -> bool {
    matches!(name, "last_event_id" | "lastEventID")
}

/// Whether a name is kept for types of matchers.
fn is_reserved(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("match"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::tests::hub;

    fn parse(
        query: &str,
        form: Option<&str>,
    ) -> Result<MercureSubscription, InvalidMercureSubscription> {
        MercureSubscription::parse(query, form, &hub())
    }

    fn texts(subscription: &MercureSubscription) -> Vec<&str> {
        subscription.matchers.iter().map(Matcher::as_str).collect()
    }

    #[test]
    fn every_parameter_is_read_as_meant() {
        let query = "match=a%2Bb&match_exact=c+d&match_urlpattern=/x/:y&topic=/z/{v}&topic={&other=1&last_event_id=7";
        let asked = parse(query, None).unwrap();
        assert_eq!(texts(&asked), ["a+b", "c d", "/x/:y", "/z/{v}", "{"]);
        assert_eq!(asked.last_event_id.as_deref(), Some("7"));
        let native = asked.selector().unwrap();
        assert_eq!((native.topics.topics().len(), native.topics.patterns().len()), (3, 2));
    }

    #[test]
    fn a_form_adds_to_the_address() {
        let asked = parse("match=a&last_event_id=1", Some("match=b&last_event_id=2")).unwrap();
        assert_eq!(texts(&asked), ["a", "b"]);
        assert_eq!(asked.last_event_id.as_deref(), Some("1"), "the address goes before the form");
        let asked = parse("", Some("match=b&last_event_id=2")).unwrap();
        assert_eq!(asked.last_event_id.as_deref(), Some("2"));
    }

    #[test]
    fn a_misspelled_matcher_is_refused() {
        for name in [
            "Match",
            "MATCH",
            "matches",
            "match_",
            "match_regex",
            "match_Exact",
            "mAtCh_x",
            "match[]",
            "match_exact[]",
        ] {
            let refused = parse(&format!("match=a&{name}=b"), None).unwrap_err();
            assert_eq!(refused, InvalidMercureSubscription::UnknownType(name.to_owned()));
        }
        for harmless in ["mat", "mmatch", "xmatch=a", "é"] {
            assert!(parse(&format!("match=a&{harmless}=b"), None).is_ok(), "{harmless}");
        }
    }

    #[test]
    fn a_subscription_to_nothing_or_too_much_is_refused() {
        assert_eq!(parse("", None).unwrap_err(), InvalidMercureSubscription::NoMatcher);
        assert!(parse("match", None).is_err(), "no topic has an empty name");
        let many: String = (0..257).map(|n| format!("match={n}&")).collect();
        assert_eq!(parse(&many, None).unwrap_err(), InvalidMercureSubscription::TooManyMatchers);
        assert!(parse("match=%FF", None).is_err());
        assert!(parse("match=a%0A", None).is_err());
        assert!(parse("match_urlpattern=https://x/(", None).is_err());
        let patterns: String = (0..33).map(|n| format!("match_urlpattern=/{n}/:x&")).collect();
        let too_many = InvalidMercureSubscription::Selector(InvalidSelector::TooManyPatterns(33));
        assert_eq!(parse(&patterns, None).unwrap_err(), too_many);
        let large = |n| format!("match_urlpattern=/{n}{}&", "(%5Cw)".repeat(70));
        let large: String = (0..20).map(large).collect();
        let too_much = InvalidMercureSubscription::TooMuchToCompile;
        assert_eq!(parse(&large, None).unwrap_err(), too_much);
        let repeated = "match_urlpattern=/a/:x&topic=/a/{x}&match=a&".repeat(40);
        assert_eq!(texts(&parse(&repeated, None).unwrap()), ["/a/:x", "/a/{x}", "a"]);
    }
}
