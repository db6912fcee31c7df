//! A pattern: a family of topics, written with wildcards.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::expression::{Beginning, Expression};
use crate::topic::{InvalidTopic, Topic, check_name, check_visible};

/// A valid pattern: a topic name in which a whole segment may be `*` (exactly one segment) or
/// `**` (any number of segments, none included, so `orders/**` matches `orders` too).
///
/// Cloning costs one reference count.
///
/// Or else an [`Expression`], which a dialect describes topics by.
#[derive(Clone)]
pub struct Pattern(Kind);

#[derive(Clone)]
enum Kind {
    Wildcards(Arc<str>),
    Expression(Arc<dyn Expression>),
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It breaks a rule that topics obey too.
    #[error(transparent)]
    Name(#[from] InvalidTopic),
    /// A `*` shares its segment with other characters.
    #[error("`*` and `**` stand for whole segments: write `orders/*`, not `orders*`")]
    PartialSegment,
    /// It has more segments than [`Pattern::MAX_SEGMENTS`].
    #[error("a pattern to subscribe to has at most {max} segments, this one has {0}", max = Pattern::MAX_SEGMENTS)]
    TooManySegments(usize),
    /// It holds `**` more often than [`Pattern::MAX_DEEP`] allows.
    #[error("a pattern to subscribe to holds `**` at most {max} times, this one {0} times", max = Pattern::MAX_DEEP)]
    TooManyDeep(usize),
}

impl Pattern {
    /// The most segments of a pattern in a subscription: comparing one with a topic of any length is a word of bits
    /// for each of the topic's segments.
    pub const MAX_SEGMENTS: usize = 64;

    /// How often a pattern in a subscription may hold `**`: each may end anywhere in a topic.
    pub const MAX_DEEP: usize = 4;

    /// How many bytes a place for a pattern stands for.
    pub const PLACE: usize = 1024;

    /// What a pattern takes up beside its text.
    const BARE: usize = 640;

    /// What a segment takes up that is compared by number.
    const SEGMENT: usize = 64;

    /// How many segments from the first wildcard on are compared for one place. Twice as many take four: the more there
    /// are, the more patterns there can be that agree with a topic almost to their end.
    const COMPARED: usize = 8;

    /// Checks a text and makes it a pattern. A text without wildcards is a pattern that matches
    /// one topic.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        check_name(text)?;
        if text.split('/').any(|s| s.contains('*') && s != "*" && s != "**") {
            return Err(InvalidPattern::PartialSegment);
        }
        Ok(Self(Kind::Wildcards(text.into())))
    }

    /// Checks a pattern that someone outside gives, to be compared with every event: what
    /// [`Pattern::parse`] takes, without what could make it look like another, and that costs no more than
    /// [`Pattern::MAX_SEGMENTS`] and [`Pattern::MAX_DEEP`] allow.
    pub fn given(text: &str) -> Result<Self, InvalidPattern> {
        check_visible(text)?;
        let pattern = Self::parse(text)?;
        let segments = pattern.segments().count();
        if segments > Self::MAX_SEGMENTS {
            return Err(InvalidPattern::TooManySegments(segments));
        }
        let deep = pattern.segments().filter(|segment| *segment == "**").count();
        if deep > Self::MAX_DEEP {
            return Err(InvalidPattern::TooManyDeep(deep));
        }
        Ok(pattern)
    }

    /// The family that an expression describes.
    pub fn of_expression(expression: Arc<dyn Expression>) -> Self {
        Self(Kind::Expression(expression))
    }

    /// The pattern of one topic alone.
    pub fn of_topic(topic: &Topic) -> Self {
        Self(Kind::Wildcards(topic.as_str().into()))
    }

    /// The pattern of every topic there can be.
    pub fn everything() -> Self {
        Self(Kind::Wildcards("**".into()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Wildcards(text) => text,
            Kind::Expression(expression) => expression.as_str(),
        }
    }

    /// Whether it is written with wildcards, so that its segments say what it matches.
    pub fn has_segments(&self) -> bool {
        matches!(self.0, Kind::Wildcards(_))
    }

    /// The segments between the slashes: `*`, `**` or literal text. Of no meaning for an expression.
    pub fn segments(&self) -> std::str::Split<'_, char> {
        self.as_str().split('/')
    }

    /// The expression, if one describes it.
    pub(crate) fn expression(&self) -> Option<&dyn Expression> {
        match &self.0 {
            Kind::Expression(expression) => Some(&**expression),
            Kind::Wildcards(_) => None,
        }
    }

    /// What all topics of the family begin with, if an expression describes it.
    pub fn beginning(&self) -> Option<Beginning<'_>> {
        self.expression().map(Expression::beginning)
    }

    /// How many of the places for patterns it takes up in a subscription: one for each [`Pattern::PLACE`] bytes, or a
    /// part of them, that keeping it may take; or for what comparing it may take, if that is more.
    pub fn places(&self) -> usize {
        match &self.0 {
            Kind::Expression(expression) => expression.footprint().div_ceil(Self::PLACE),
            // The text twice, as itself and as what it begins with, and a number for each segment behind a wildcard.
            Kind::Wildcards(text) => {
                let compared =
                    text.split('/').skip_while(|segment| !segment.starts_with('*')).count();
                let numbered = compared.saturating_sub(1);
                let footprint = Self::BARE + 2 * text.len() + Self::SEGMENT * numbered;
                let steps = compared.pow(2).div_ceil(Self::COMPARED.pow(2));
                footprint.div_ceil(Self::PLACE).max(steps)
            }
        }
    }

    /// Whether it matches every topic there can be.
    pub fn matches_everything(&self) -> bool {
        matches!(&self.0, Kind::Wildcards(text) if &**text == "**")
    }
}

impl Pattern {
    /// What tells it from all others.
    fn key(&self) -> (bool, &str) {
        (self.has_segments(), self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Topic::parse(topic).unwrap())
    }

    #[test]
    fn wildcards_stand_for_whole_segments() {
        assert!(matches("orders/*", "orders/1"));
        assert!(!matches("orders/*", "orders"));
        assert!(!matches("orders/*", "orders/1/lines"));
        assert!(matches("orders/**", "orders/1/lines"));
        assert!(matches("orders/**", "orders"));
        assert!(!matches("orders/**", "ordersx/1"));
        assert!(matches("**/lines", "orders/1/lines"));
        assert!(matches("a/**/b/**/c", "a/b/x/b/c"));
        assert!(!matches("a/**/b/**/c", "a/x/c"));
        assert!(matches("**", "anything/at/all"));
        assert_eq!(Pattern::parse("orders*"), Err(InvalidPattern::PartialSegment));
        assert_eq!(Pattern::parse("a/***"), Err(InvalidPattern::PartialSegment));
    }

    #[test]
    fn a_pattern_too_hard_to_compare_is_refused() {
        let many = "a/".repeat(63);
        assert!(Pattern::given(&format!("{many}*")).is_ok());
        let more = format!("{many}a/*");
        assert_eq!(Pattern::given(&more), Err(InvalidPattern::TooManySegments(65)));
        assert!(Pattern::given("**/a/**/b/**/c/**").is_ok());
        let deep = Pattern::given("**/a/**/b/**/c/**/d/**");
        assert_eq!(deep, Err(InvalidPattern::TooManyDeep(5)));
        assert!(deep.unwrap_err().to_string().contains("at most 4 times, this one 5 times"));
    }

    #[test]
    fn a_long_pattern_counts_for_more() {
        let places = |text: &str| Pattern::given(text).unwrap().places();
        assert_eq!(["**", "orders/*", "tenants/7/*/orders/*/lines"].map(places), [1, 1, 1]);
        assert_eq!(places(&format!("{}/*", "x".repeat(250))), 2);
        assert_eq!(places(&format!("*{}", "/abc".repeat(63))), 64);
        assert_eq!(
            places(&format!("{}*", "abc/".repeat(63))),
            2,
            "numbers nothing before a wildcard"
        );
        let of = |segments: usize| places(&format!("a/*{}", "/b".repeat(segments - 1)));
        assert_eq!([1, 8, 9, 16, 17, 32, 62].map(of), [1, 2, 2, 4, 5, 16, 61]);
        assert_eq!(Pattern::of_expression(Arc::new(Ends("b"))).places(), 3);
    }

    #[derive(Debug)]
    struct Ends(&'static str);

    impl Expression for Ends {
        fn as_str(&self) -> &str {
            self.0
        }

        fn matches(&self, topic: &Topic) -> bool {
            topic.as_str().ends_with(self.0)
        }

        fn beginning(&self) -> Beginning<'_> {
            Beginning::unknown()
        }

        fn footprint(&self) -> usize {
            3 * Pattern::PLACE
        }
    }

    #[test]
    fn an_expression_is_not_read_as_wildcards() {
        let ends = |text| Pattern::of_expression(Arc::new(Ends(text)));
        assert!(ends("b").matches(&Topic::parse("ab").unwrap()));
        assert!(!ends("b").matches(&Topic::parse("ba").unwrap()));
        assert_eq!(ends("b"), ends("b"));
        assert_ne!(ends("b"), Pattern::parse("b").unwrap());
        assert!(!ends("**").matches_everything() && !ends("a/*").has_segments());
    }

    /// The definition, by recursion: obviously right, exponential at worst.
    pub(crate) fn by_definition(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => {
                by_definition(rest, name)
                    || name.split_first().is_some_and(|(_, fewer)| by_definition(pattern, fewer))
            }
            (Some((&"*", rest)), Some((_, fewer))) => by_definition(rest, fewer),
            (Some((want, rest)), Some((have, fewer))) if want == have => by_definition(rest, fewer),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(
            pattern in prop::collection::vec(prop_oneof!["a", "b", "\\*", "\\*\\*", ""], 1..7),
            name in prop::collection::vec(prop_oneof!["a", "b", ""], 1..7),
        ) {
            let (pattern_text, topic) = (pattern.join("/"), name.join("/"));
            prop_assume!(!pattern_text.is_empty() && !topic.is_empty());
            let pattern: Vec<_> = pattern.iter().map(String::as_str).collect();
            let name: Vec<_> = name.iter().map(String::as_str).collect();
            prop_assert_eq!(matches(&pattern_text, &topic), by_definition(&pattern, &name));
        }
    }
}
