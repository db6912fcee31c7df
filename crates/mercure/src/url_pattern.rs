//! URL Patterns, as the WHATWG's standard has them.
//!
//! The `urlpattern` crate reads them; of what it makes, only what matches is kept.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use fanfare_event::{Beginning, Expression, Pattern, Topic};
use urlpattern::component::Component;
use urlpattern::matcher::{InnerMatcher, Matcher};
use urlpattern::regexp::RegExp;
use urlpattern::{RegexSyntax, UrlPatternInit, UrlPatternOptions};

use crate::compiled::Compiled;
use crate::hub_url::MercureUrl;
use crate::read_url::{ReadUrl, UrlPart, UrlStart, Urls, read};

/// A URL Pattern.
pub struct UrlPattern {
    /// With its language before it.
    written: Box<str>,
    hub: Arc<MercureUrl>,
    /// What differs most between topics comes first.
    pathname: Matcher<Linear>,
    hostname: Matcher<Linear>,
    others: Box<[(UrlPart, Matcher<Linear>)]>,
}

/// What stands before a pattern in writing.
const LANGUAGE: &str = "urlpattern ";

impl UrlPattern {
    /// Reads a pattern; `None` if it is none, or one that takes too much.
    pub(crate) fn parse(text: &str, hub: &Arc<MercureUrl>) -> Option<Self> {
        if !closes_what_it_opened(text) {
            return None;
        }
        // The crate has been made to panic by what strangers send; whatever else does it is no pattern either.
        catch_unwind(AssertUnwindSafe(|| Self::read(text, hub))).ok().flatten()
    }

    fn read(text: &str, hub: &Arc<MercureUrl>) -> Option<Self> {
        // Only what is relative has a base: one would give a path to patterns of addresses that have none.
        let parse = |base| UrlPatternInit::parse_constructor_string::<Linear>(text, base);
        let init = parse(None).or_else(|_| parse(Some(hub.url().clone()))).ok()?;
        let options = UrlPatternOptions { regex_syntax: RegexSyntax::Rust, ignore_case: false };
        let parsed = urlpattern::UrlPattern::<Linear>::parse(init, options).ok()?;
        let others = [
            (UrlPart::Protocol, matcher(parsed.protocol)?),
            (UrlPart::Username, matcher(parsed.username)?),
            (UrlPart::Password, matcher(parsed.password)?),
            (UrlPart::Port, matcher(parsed.port)?),
            (UrlPart::Search, matcher(parsed.search)?),
            (UrlPart::Hash, matcher(parsed.hash)?),
        ];
        let others = others.into_iter().filter(|(_, matcher)| !matches_all(matcher));
        Some(Self {
            written: format!("{LANGUAGE}{text}").into(),
            hub: Arc::clone(hub),
            pathname: matcher(parsed.pathname)?,
            hostname: matcher(parsed.hostname)?,
            others: others.collect(),
        })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.written[LANGUAGE.len()..]
    }

    /// What compiling it took.
    pub(crate) fn work(&self) -> usize {
        self.compiled().map(Compiled::work).sum()
    }

    fn compiled(&self) -> impl Iterator<Item = &Compiled> {
        let others = self.others.iter().map(|(_, matcher)| matcher);
        [&self.pathname, &self.hostname].into_iter().chain(others).filter_map(compiled)
    }

    /// Whether it matches the topic of this name.
    pub(crate) fn matches_name(&self, name: &str) -> bool {
        ReadUrl::of(&self.hub, name).is_some_and(|url| self.matches_url(&url))
    }

    fn matches_url(&self, url: &ReadUrl) -> bool {
        self.pathname.matches(url.path()).is_some()
            && self.hostname.matches(url.host()).is_some()
            && self.others.iter().all(|(part, matcher)| matcher.matches(url.part(*part)).is_some())
    }
}

/// Whether no bracket closes what none has opened, outside of regular expressions: the crate counts below zero.
fn closes_what_it_opened(text: &str) -> bool {
    let (mut groups, mut brackets) = (0_usize, 0_usize);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            '(' => groups += 1,
            ')' => groups = groups.saturating_sub(1),
            '[' if groups == 0 => brackets += 1,
            ']' if groups == 0 && brackets == 0 => return false,
            ']' if groups == 0 => brackets -= 1,
            _ => {}
        }
    }
    true
}

/// What of a component matches; `None` if its regular expression is none, or too large.
fn matcher(component: Component<Linear>) -> Option<Matcher<Linear>> {
    if let InnerMatcher::RegExp { regexp } = &component.matcher.inner {
        regexp.as_ref().ok()?.compile()?;
    }
    Some(component.matcher)
}

/// A matcher's regular expression, if it needs one.
fn compiled(matcher: &Matcher<Linear>) -> Option<&Compiled> {
    match &matcher.inner {
        InnerMatcher::RegExp { regexp: Ok(regexp) } => regexp.compiled.get(),
        _ => None,
    }
}

/// What all begins with that it matches.
fn literal_beginning(matcher: &Matcher<Linear>) -> &str {
    match &matcher.inner {
        InnerMatcher::Literal { literal } => literal,
        InnerMatcher::SingleCapture { .. } | InnerMatcher::RegExp { .. } => &matcher.prefix,
    }
}

/// Whether a component may be anything.
fn matches_all(matcher: &Matcher<Linear>) -> bool {
    let unbounded = InnerMatcher::<Linear>::SingleCapture { filter: None, allow_empty: true };
    let any = std::mem::discriminant(&matcher.inner) == std::mem::discriminant(&unbounded)
        && matches!(matcher.inner, InnerMatcher::SingleCapture { filter: None, allow_empty: true });
    any && matcher.prefix.is_empty() && matcher.suffix.is_empty()
}

impl Expression for UrlPattern {
    fn as_str(&self) -> &str {
        &self.written
    }

    fn matches(&self, topic: &Topic) -> bool {
        read(&self.hub, topic).is_some_and(|url| self.matches_url(&url))
    }

    fn beginning(&self) -> Beginning<'_> {
        let urls = |from| Arc::new(Urls::new(&self.hub, from));
        let path = literal_beginning(&self.pathname);
        match &self.hostname.inner {
            InnerMatcher::Literal { literal } => Beginning {
                reading: urls(UrlStart::Host),
                text: [literal.as_str(), path].concat().into(),
            },
            _ => Beginning { reading: urls(UrlStart::Path), text: path.into() },
        }
    }

    fn footprint(&self) -> usize {
        2 * Pattern::PLACE + self.compiled().map(Compiled::footprint).sum::<usize>()
    }
}

impl fmt::Debug for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// A regular expression that is compiled only if it is kept.
#[derive(Debug)]
struct Linear {
    text: String,
    compiled: OnceLock<Compiled>,
}

impl Linear {
    fn compile(&self) -> Option<()> {
        let _ = self.compiled.set(Compiled::parse(&self.text)?);
        Some(())
    }
}

impl RegExp for Linear {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _: &str, _: bool) -> Result<Self, ()> {
        Ok(Self { text: pattern.to_owned(), compiled: OnceLock::new() })
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        self.compiled.get()?.is_match(text).then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::matcher::tests::{hub, matches};
    use crate::{Matcher, MatcherType};

    fn pattern(pattern: &str, topic: &str) -> bool {
        matches(MatcherType::UrlPattern, pattern, topic)
    }

    #[test]
    fn a_url_pattern_is_read_as_its_standard_says() {
        for (matcher, topic) in [
            ("https://example.com/books/:id", "https://example.com/books/1"),
            ("https://example.com/books/:id", "HTTPS://EXAMPLE.com:443/books/1"),
            ("https://example.com/books/:id?", "https://example.com/books"),
            ("https://example.com/books/:id(\\d+)", "https://example.com/books/12"),
            ("https://*.example.com/*", "https://a.example.com/b/c"),
            ("https://example.com/*", "https://example.com/a/b"),
            ("https://example.com/{a,}*", "https://example.com/a,a,"),
            ("/books/:id", "https://hub.example.com/books/1"),
            ("/books/:id", "/books/1"),
            ("https://hub.example.com/books/:id", "/books/1"),
            (":rest", "1"),
            ("https://example.com/a?b=:c", "https://example.com/a?b=1"),
            // A colon before a letter begins a group, unless it is escaped.
            ("urn\\:isbn\\:*", "urn:isbn:123"),
            ("urn\\:isbn\\::number", "urn:isbn:123"),
            ("mailto\\:*", "mailto:a@b"),
            // What comes after the last part that is given may be anything.
            ("https://example.com/a", "https://example.com/a?b"),
            (
                "/.well-known/mercure/subscriptions/exact/:topic/:subscriber",
                "/.well-known/mercure/subscriptions/exact/a%2Fb/urn%3Auuid%3A1",
            ),
        ] {
            assert!(pattern(matcher, topic), "{matcher} matches {topic}");
        }
        for (matcher, topic) in [
            ("https://example.com/books/:id", "https://example.com/books/1/2"),
            ("https://example.com/books/:id", "https://example.com/books/"),
            ("https://example.com/books/:id", "http://example.com/books/1"),
            ("https://example.com/books/:id", "https://example.com:8443/books/1"),
            ("https://example.com/books/:id", "https://example.com/Books/1"),
            ("https://example.com/books/:id(\\d+)", "https://example.com/books/a"),
            ("/books/:id", "https://example.com/books/1"),
            ("https://example.com/*", "https://["),
            ("urn\\:isbn\\:*", "urn:uuid:1"),
            ("urn\\:isbn\\::number", "urn:isbn:"),
            // As Chromium has it too: the protocol is `urn` and a group.
            ("urn:isbn:*", "urn:isbn:123"),
        ] {
            assert!(!pattern(matcher, topic), "{matcher} does not match {topic}");
        }
        for invalid in [
            "https://example.com/(",
            "https://example.com/:a/:a",
            "https://[",
            "/(?=a)",
            "http://]",
        ] {
            let refused = Matcher::parse(MatcherType::UrlPattern, invalid, &hub());
            assert!(refused.is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_pattern_takes_bounded_time_and_memory() {
        let evil = "https://example.com/((?:a+)+)b";
        let topic = format!("https://example.com/{}", "a".repeat(230));
        let began = Instant::now();
        assert!(!pattern(evil, &topic));
        assert!(began.elapsed() < Duration::from_secs(5));
        let huge = "/(a{1000}{1000})";
        assert!(Matcher::parse(MatcherType::UrlPattern, huge, &hub()).is_err());
    }
}
