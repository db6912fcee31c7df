//! A comparison: one topic, held against one pattern after the other.
//!
//! What must hold: a pattern costs a few steps for each of its segments, however it is written; and how many steps
//! there were is counted, so that whoever compares can stop in time.

use crate::{Pattern, Places, SpreadTopic, Topic};

/// A topic, and what comparing it has taken.
#[derive(Debug)]
pub struct Comparison<'a> {
    topic: &'a Topic,
    /// Made for the first pattern that is hard.
    spread: Option<TopicSpread<'a>>,
    steps: usize,
}

type TopicSpread<'a> = SpreadTopic<&'a str, { Topic::PLACE_WORDS }>;

/// How many steps are made before a pattern counts as hard, and once the topic is spread.
const EASY: usize = 256;
const EASY_ONCE_SPREAD: usize = 32;

/// What asking an expression takes, in steps.
const EXPRESSION: usize = 32;

impl<'a> Comparison<'a> {
    /// Of this topic; nothing is compared yet.
    pub fn new(topic: &'a Topic) -> Self {
        Self { topic, spread: None, steps: 0 }
    }

    /// How many steps there were: a segment compared with another, some nanoseconds.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether the topic belongs to the family.
    pub fn matches(&mut self, pattern: &Pattern) -> bool {
        if let Some(expression) = pattern.expression() {
            self.steps += EXPRESSION;
            return expression.matches(self.topic);
        }
        self.try_one_by_one(pattern).unwrap_or_else(|| self.walk(pattern))
    }

    /// Compares segments one after the other; on a mismatch only the latest `**` can usefully take one segment more.
    /// `None` where that would take long.
    fn try_one_by_one(&mut self, pattern: &Pattern) -> Option<bool> {
        let mut pattern = pattern.segments();
        let mut name = self.topic.segments();
        let mut retry = None;
        let easy = if self.spread.is_some() { EASY_ONCE_SPREAD } else { EASY };
        for _ in 0..easy {
            self.steps += 1;
            let at = (pattern.clone(), name.clone());
            match (pattern.next(), name.next()) {
                (Some("**"), _) => {
                    name = at.1;
                    retry = Some((pattern.clone(), name.clone()));
                }
                (None, None) => return Some(true),
                (Some("*"), Some(_)) => {}
                (Some(want), Some(have)) if want == have => {}
                _ => {
                    let Some((after_stars, mut rest)) = retry else { return Some(false) };
                    if rest.next().is_none() {
                        return Some(false);
                    }
                    pattern = after_stars.clone();
                    name = rest.clone();
                    retry = Some((after_stars, rest));
                }
            }
        }
        None
    }

    /// Walks the pattern over the topic, wherever it may have got to.
    fn walk(&mut self, pattern: &Pattern) -> bool {
        let Self { topic, spread, steps } = self;
        let spread = spread.get_or_insert_with(|| {
            let segments = topic.segments().inspect(|_| *steps += 4);
            TopicSpread::new(segments.map(Some))
        });
        let mut reached = Places::only(0);
        for segment in pattern.segments() {
            *steps += 2;
            reached = match segment {
                "**" => spread.over_many(reached),
                "*" => spread.over_any(reached),
                literal => spread.over(reached, literal),
            };
            if reached.is_empty() {
                return false;
            }
        }
        spread.ends_at(reached)
    }
}

impl Pattern {
    /// Whether `topic` belongs to the family. Who asks this of several patterns makes one [`Comparison`].
    pub fn matches(&self, topic: &Topic) -> bool {
        Comparison::new(topic).matches(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::tests::by_definition;

    fn matches(pattern: &str, topic: &str) -> bool {
        Pattern::given(pattern).unwrap().matches(&Topic::parse(topic).unwrap())
    }

    #[test]
    fn a_hard_pattern_matches_by_the_same_rules() {
        let topic = "a/".repeat(126) + "a";
        let word = "a/".repeat(18);
        assert!(matches(&format!("**/{word}**/{word}**/{word}**"), &topic));
        assert!(!matches(&format!("**/{word}**/{word}**/{word}b"), &topic));
        assert!(matches(&format!("**/{word}**/*/b"), &format!("{topic}/b")));
        let slashes = "/".repeat(256);
        assert!(matches(&format!("**{}*/**", "/".repeat(60)), &slashes));
        assert!(!matches(&format!("**{}*/**/b", "/".repeat(60)), &slashes));
    }

    #[test]
    fn a_pattern_takes_a_bounded_number_of_steps() {
        let topic = Topic::parse(&("a/".repeat(126) + "a")).unwrap();
        let mut comparison = Comparison::new(&topic);
        for n in 0..32 {
            let (first, second) = ("a/".repeat(20 + n % 10), "*/".repeat(30 - n % 10));
            let pattern = Pattern::given(&format!("**/{first}{second}b/**")).unwrap();
            assert!(!comparison.matches(&pattern));
        }
        let most = EASY + 4 * 127 + 32 * (EASY_ONCE_SPREAD + 2 * Pattern::MAX_SEGMENTS);
        assert!(comparison.steps() <= most, "{} steps", comparison.steps());
        assert!(comparison.spread.is_some());
    }

    proptest! {
        #[test]
        fn walking_agrees_with_the_definition(
            pattern in prop::collection::vec(prop_oneof!["a", "b", "\\*", "\\*\\*", ""], 1..7),
            name in prop::collection::vec(prop_oneof!["a", "b", ""], 1..7),
        ) {
            let (pattern_text, topic) = (pattern.join("/"), name.join("/"));
            prop_assume!(!pattern_text.is_empty() && !topic.is_empty());
            let topic = Topic::parse(&topic).unwrap();
            let walked = Comparison::new(&topic).walk(&Pattern::parse(&pattern_text).unwrap());
            let pattern: Vec<_> = pattern.iter().map(String::as_str).collect();
            let name: Vec<_> = name.iter().map(String::as_str).collect();
            prop_assert_eq!(walked, by_definition(&pattern, &name));
        }
    }
}
