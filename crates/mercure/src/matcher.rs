//! Matchers: which topics a subscription or a grant is about.

use std::sync::Arc;

use fanfare_event::{Pattern, Topic};

use crate::characters::are_allowed;
use crate::hub_url::MercureUrl;
use crate::template::UriTemplate;
use crate::topic::{InvalidTopicName, topic_of};
use crate::url_pattern::UrlPattern;

/// Which topics are meant.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// `*`: every topic.
    Every(MatcherType),
    /// The topic of this very name.
    Exact(Topic, Box<str>),
    /// Those that a URL Pattern matches.
    UrlPattern(Arc<UrlPattern>),
    /// Those that a URI Template can be expanded to, and the one that is written like it.
    Template(Arc<UriTemplate>),
}

/// How a matcher is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatcherType {
    /// As the name of a topic.
    Exact,
    /// As a URL Pattern.
    UrlPattern,
    /// As the protocol had it before 1.0: a URI Template or the name of a topic.
    Older,
}

/// Why a text is not a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMatcher {
    /// It holds what does not show.
    #[error("a matcher must not contain control or format characters")]
    Forbidden,
    /// It is longer than [`Matcher::MAX_BYTES`].
    #[error("a matcher is at most {} bytes long", Matcher::MAX_BYTES)]
    TooLong,
    /// No topic can have this name.
    #[error(transparent)]
    Topic(#[from] InvalidTopicName),
    /// It is not a URL Pattern, or one that would cost too much.
    #[error(
        "not a URL Pattern, or one that takes too much to match, or whose regular expression goes beyond ASCII"
    )]
    UrlPattern,
    /// It is a URI Template that would cost too much.
    #[error("a URI Template that takes too much to match")]
    Template,
}

impl MatcherType {
    /// The name in requests, tokens and documents; of the older kind, that of what it was read as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact | Self::Older => "exact",
            Self::UrlPattern => "urlpattern",
        }
    }

    /// The type of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "exact" => Some(Self::Exact),
            "urlpattern" => Some(Self::UrlPattern),
            _ => None,
        }
    }
}

impl Matcher {
    /// The longest matcher, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Reads a matcher of this type, at a hub with this URL.
    ///
    /// # Errors
    ///
    /// See [`InvalidMatcher`].
    pub fn parse(
        kind: MatcherType,
        text: &str,
        hub: &Arc<MercureUrl>,
    ) -> Result<Self, InvalidMatcher> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidMatcher::TooLong);
        }
        if !are_allowed(text) {
            return Err(InvalidMatcher::Forbidden);
        }
        if text == "*" {
            return Ok(Self::Every(kind));
        }
        let template = match kind {
            MatcherType::UrlPattern => {
                let pattern = UrlPattern::parse(text, hub).ok_or(InvalidMatcher::UrlPattern)?;
                return Ok(Self::UrlPattern(Arc::new(pattern)));
            }
            MatcherType::Exact => None,
            MatcherType::Older => match UriTemplate::parse(text) {
                None if UriTemplate::is_one(text) => return Err(InvalidMatcher::Template),
                // What is no template is a name.
                template => template,
            },
        };
        match template {
            Some(template) => Ok(Self::Template(Arc::new(template))),
            None => Ok(Self::Exact(topic_of(text)?, text.into())),
        }
    }

    /// How it is read.
    pub fn kind(&self) -> MatcherType {
        match self {
            Self::Every(kind) => *kind,
            Self::Exact(..) => MatcherType::Exact,
            Self::UrlPattern(_) => MatcherType::UrlPattern,
            Self::Template(_) => MatcherType::Older,
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Every(_) => "*",
            Self::Exact(_, text) => text,
            Self::UrlPattern(pattern) => pattern.text(),
            Self::Template(template) => template.text(),
        }
    }

    /// What compiling it took, in bytes of regular expressions.
    pub(crate) fn work(&self) -> usize {
        match self {
            Self::Every(_) | Self::Exact(..) => 0,
            Self::UrlPattern(pattern) => pattern.work(),
            Self::Template(template) => template.work(),
        }
    }

    /// Whether it matches a text, as if that were the name of a topic.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Every(_) => true,
            Self::Exact(_, text) => **text == *name,
            Self::UrlPattern(pattern) => pattern.matches_name(name),
            Self::Template(template) => template.matches_name(name),
        }
    }

    /// The native topic it names, or the native pattern that matches what it does.
    pub fn into_native(self) -> NativeMatcher {
        match self {
            Self::Every(_) => NativeMatcher::Pattern(Pattern::everything()),
            Self::Exact(topic, _) => NativeMatcher::Topic(topic),
            Self::UrlPattern(pattern) => NativeMatcher::Pattern(Pattern::of_expression(pattern)),
            Self::Template(template) => NativeMatcher::Pattern(Pattern::of_expression(template)),
        }
    }

    /// The native pattern of an expression that was written down, at a hub with this URL; `None` if it is
    /// none of this protocol's.
    pub fn expression(written: &str, hub: &Arc<MercureUrl>) -> Option<Pattern> {
        let (language, text) = written.split_once(' ')?;
        let kind = match language {
            "urlpattern" => MatcherType::UrlPattern,
            "uritemplate" => MatcherType::Older,
            _ => return None,
        };
        let pattern = Self::parse(kind, text, hub).ok()?.into_pattern();
        (!pattern.has_segments() && pattern.as_str() == written).then_some(pattern)
    }

    /// The native pattern that matches what it does.
    pub fn into_pattern(self) -> Pattern {
        match self.into_native() {
            NativeMatcher::Topic(topic) => Pattern::of_topic(&topic),
            NativeMatcher::Pattern(pattern) => pattern,
        }
    }
}

/// What a matcher is among the hub's own words.
#[derive(Debug, Clone)]
pub enum NativeMatcher {
    /// One topic.
    Topic(Topic),
    /// A family of them.
    Pattern(Pattern),
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn hub() -> Arc<MercureUrl> {
        Arc::new(MercureUrl::parse("https://hub.example.com/.well-known/mercure").unwrap())
    }

    pub(crate) fn matches(kind: MatcherType, matcher: &str, topic: &str) -> bool {
        let matcher = Matcher::parse(kind, matcher, &hub()).unwrap();
        let native = matcher.clone().into_pattern().matches(&topic_of(topic).unwrap());
        assert_eq!(matcher.matches(topic), native, "{matcher:?} {topic}");
        native
    }

    #[test]
    fn an_exact_matcher_matches_the_same_bytes_only() {
        let exact = |matcher, topic| matches(MatcherType::Exact, matcher, topic);
        assert!(exact("https://example.com/a", "https://example.com/a"));
        assert!(exact("a*b", "a*b"));
        assert!(!exact("a*b", "axb"));
        assert!(!exact("https://example.com/a", "https://EXAMPLE.com/a"));
        assert!(!exact("https://example.com/%61", "https://example.com/a"));
        assert!(!exact("/a", "https://hub.example.com/a"));
        assert!(!exact("cafe\u{301}", "caf\u{e9}"));
        assert!(!exact("https://example.com/:id", "https://example.com/1"));
        assert!(!exact("https://example.com/{id}", "https://example.com/1"));
    }

    #[test]
    fn a_star_is_every_topic_whatever_its_type() {
        for kind in [MatcherType::Exact, MatcherType::UrlPattern, MatcherType::Older] {
            assert!(matches(kind, "*", "anything at all"));
            assert!(matches(kind, "*", "https://["));
        }
    }

    #[test]
    fn a_matcher_nothing_could_match_is_refused() {
        for kind in [MatcherType::Exact, MatcherType::UrlPattern, MatcherType::Older] {
            for text in ["a\nb", "a\u{202e}b", "a\u{7f}"] {
                let refused = Matcher::parse(kind, text, &hub()).unwrap_err();
                assert_eq!(refused, InvalidMatcher::Forbidden);
            }
            let long = Matcher::parse(kind, &"x".repeat(513), &hub()).unwrap_err();
            assert_eq!(long, InvalidMatcher::TooLong);
        }
        assert!(Matcher::parse(MatcherType::Exact, "", &hub()).is_err());
        assert!(Matcher::parse(MatcherType::Exact, &"x".repeat(300), &hub()).is_err());
    }

    /// Where an index would look for a pattern, and what it would read of a topic.
    fn place(pattern: &Pattern, topic: &Topic) -> Option<(String, Option<String>)> {
        let beginning = pattern.beginning()?;
        let mut read = None;
        beginning.reading.read(topic, &mut |text| read = Some(text.to_owned()));
        Some((beginning.text.into_owned(), read))
    }

    #[test]
    fn a_matcher_is_indexed_by_its_beginning() {
        let begins = |kind, text: &str| {
            let pattern = Matcher::parse(kind, text, &hub()).unwrap().into_pattern();
            pattern.beginning().unwrap().text.into_owned()
        };
        for (text, beginning) in [
            ("https://example.com/books/:id", "example.com/books/"),
            ("https://EXAMPLE.com/books/:id/:page?", "example.com/books"),
            ("https://example.com/é/*", "example.com/%C3%A9/"),
            ("https://*.example.com/books/*", "/books/"),
            ("/books/:id", "hub.example.com/books/"),
            ("urn\\:isbn\\:*", "isbn:"),
            (":rest", "hub.example.com/.well-known/"),
            ("https://*/:rest", "/"),
        ] {
            assert_eq!(begins(MatcherType::UrlPattern, text), beginning, "{text}");
        }
        for (text, beginning) in [
            ("https://example.com/books/{id}", "https://example.com/books/"),
            ("a*b/{c}", "a"),
            ("{a}", ""),
        ] {
            assert_eq!(begins(MatcherType::Older, text), beginning, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_matcher_agrees_with_its_native_pattern(
            kind in prop_oneof![
                Just(MatcherType::Exact), Just(MatcherType::UrlPattern), Just(MatcherType::Older)],
            text in r"(https?://|/|)([a-z:*{}()?+|\[\]\\.^$#&=;,/%0-9-]|é){0,40}",
            name in r"(https?://|/|)([a-z*:/%.?#]|é){1,30}",
        ) {
            let Ok(matcher) = Matcher::parse(kind, &text, &hub()) else { return Ok(()) };
            let Ok(topic) = topic_of(&name) else { return Ok(()) };
            let native = matcher.clone().into_pattern().matches(&topic);
            prop_assert_eq!(matcher.matches(&name), native);
            if let (true, Some((beginning, read))) = (native, place(&matcher.into_pattern(), &topic)) {
                prop_assert!(read.is_some_and(|read| read.starts_with(&beginning)), "{}", beginning);
            }
        }
    }
}
