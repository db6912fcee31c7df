//! A selector: which events a subscriber wants.

use crate::{Comparison, Event, EventType, InvalidPattern, InvalidTopic, Pattern, Topic};

/// Which events a subscriber wants: any of its topics or patterns, narrowed to its event types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Where the events are published.
    pub topics: TopicSelector,
    /// The wanted types; empty wants all. [`EventType::UNTYPED`] stands for events without one.
    types: Box<[Box<str>]>,
}

/// The topics a selector names and the patterns it spans. Never empty, no duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSelector {
    topics: Box<[Topic]>,
    patterns: Box<[Pattern]>,
}

/// Why texts do not make a selector. The text at fault is part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// A `topic` without wildcards that is not a topic.
    #[error("{text:?}: {source}")]
    Topic {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        source: InvalidTopic,
    },
    /// A `topic` with wildcards that is not a pattern.
    #[error("{text:?}: {source}")]
    Pattern {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        source: InvalidPattern,
    },
    /// Neither a topic nor a pattern.
    #[error("a subscription names at least one topic or pattern")]
    Nothing,
    /// More topics and patterns than [`Selector::MAX_TOPICS`].
    #[error(
        "a subscription names at most {max} topics and patterns, this one {0}", max = Selector::MAX_TOPICS)]
    TooManyTopics(usize),
    /// More patterns than [`Selector::MAX_PATTERNS`].
    #[error(
        "a subscription names at most {max} patterns, this one {0}", max = Selector::MAX_PATTERNS
    )]
    TooManyPatterns(usize),
    /// More types than [`Selector::MAX_TYPES`].
    #[error("a subscription names at most {max} event types, this one {0}", max = Selector::MAX_TYPES)]
    TooManyTypes(usize),
    /// A type no event can have.
    #[error("{text:?}: an event type is 1 to {} bytes without CR, LF or NUL", EventType::MAX_BYTES)]
    Type {
        /// What was asked for.
        text: String,
    },
}

impl Selector {
    /// The most topics and patterns together that one subscription may name.
    pub const MAX_TOPICS: usize = 256;
    /// The most patterns among them: each may have to be compared with each event.
    pub const MAX_PATTERNS: usize = 32;
    /// The most event types that one subscription may name.
    pub const MAX_TYPES: usize = 64;

    /// Checks what a subscriber asked for. No topic means [`Topic::DEFAULT`]; no type means all.
    pub fn parse<'a>(
        topics: impl IntoIterator<Item = &'a str>,
        types: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidSelector> {
        let mut wanted: Vec<Box<str>> = Vec::new();
        for text in types {
            let plausible = (1..=EventType::MAX_BYTES).contains(&text.len())
                && !text.contains(['\r', '\n', '\0']);
            if !plausible {
                return Err(InvalidSelector::Type { text: text.to_owned() });
            }
            wanted.push(text.into());
        }
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() > Self::MAX_TYPES {
            return Err(InvalidSelector::TooManyTypes(wanted.len()));
        }
        Ok(Self { topics: TopicSelector::parse(topics)?, types: wanted.into() })
    }

    /// All events of these topics and patterns, whatever their type.
    ///
    /// # Errors
    ///
    /// Nothing is named, or more than [`Selector::MAX_TOPICS`] or [`Selector::MAX_PATTERNS`] allow.
    pub fn of(topics: Vec<Topic>, patterns: Vec<Pattern>) -> Result<Self, InvalidSelector> {
        Ok(Self { topics: TopicSelector::of(topics, patterns)?, types: Box::default() })
    }

    /// Every event there can be.
    pub fn everything() -> Self {
        let (topics, patterns) = (Box::default(), Box::new([Pattern::everything()]));
        Self { topics: TopicSelector { topics, patterns }, types: Box::default() }
    }

    /// Whether a subscriber with this selector receives `event`.
    pub fn matches(&self, event: &Event) -> bool {
        self.wants_type(event.event_type.as_ref()) && self.topics.matches_any(event.topics())
    }

    /// The same, and adds what comparing patterns has taken to `steps`.
    pub fn matches_counted(&self, event: &Event, steps: &mut usize) -> bool {
        self.wants_type(event.event_type.as_ref())
            && event.topics().any(|topic| self.topics.matches_counted(topic, steps))
    }

    /// The selector of these parts, which were one before: in another process, perhaps under other rules.
    ///
    /// # Errors
    ///
    /// Nothing is named, or more than [`Selector::MAX_TOPICS`] or [`Selector::MAX_PATTERNS`] allow.
    pub fn restored(
        topics: Vec<Topic>,
        patterns: Vec<Pattern>,
        types: Vec<Box<str>>,
    ) -> Result<Self, InvalidSelector> {
        if types.len() > Self::MAX_TYPES {
            return Err(InvalidSelector::TooManyTypes(types.len()));
        }
        Ok(Self { types: types.into(), ..Self::of(topics, patterns)? })
    }

    /// The wanted types; empty where all are.
    pub fn types(&self) -> &[Box<str>] {
        &self.types
    }

    /// Whether the filter on types lets this one through.
    pub fn wants_type(&self, event_type: Option<&EventType>) -> bool {
        let name = event_type.map_or(EventType::UNTYPED, EventType::as_str);
        self.types.is_empty() || self.types.iter().any(|wanted| &**wanted == name)
    }

    /// Whether events are narrowed by type at all.
    pub fn filters_types(&self) -> bool {
        !self.types.is_empty()
    }
}

impl Default for Selector {
    /// All events of the default topic: what the guide's page listens to.
    fn default() -> Self {
        Self {
            topics: TopicSelector {
                topics: Box::new([Topic::default()]),
                patterns: Box::default(),
            },
            types: Box::default(),
        }
    }
}

impl TopicSelector {
    fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidSelector> {
        let (mut topics, mut patterns) = (Vec::new(), Vec::new());
        for text in texts {
            if text.contains('*') {
                patterns.push(Pattern::given(text).map_err(|source| InvalidSelector::Pattern {
                    text: text.to_owned(),
                    source,
                })?);
            } else {
                topics.push(
                    Topic::given(text).map_err(|source| InvalidSelector::Topic {
                        text: text.to_owned(),
                        source,
                    })?,
                );
            }
        }
        if topics.is_empty() && patterns.is_empty() {
            topics.push(Topic::default());
        }
        Self::of(topics, patterns)
    }

    fn of(mut topics: Vec<Topic>, mut patterns: Vec<Pattern>) -> Result<Self, InvalidSelector> {
        if topics.is_empty() && patterns.is_empty() {
            return Err(InvalidSelector::Nothing);
        }
        topics.sort_unstable();
        topics.dedup();
        patterns.sort_unstable();
        patterns.dedup();
        if topics.len() + patterns.len() > Selector::MAX_TOPICS {
            return Err(InvalidSelector::TooManyTopics(topics.len() + patterns.len()));
        }
        if patterns.len() > Selector::MAX_PATTERNS {
            return Err(InvalidSelector::TooManyPatterns(patterns.len()));
        }
        Ok(Self { topics: topics.into(), patterns: patterns.into() })
    }

    /// The topics named outright, sorted.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// The patterns, sorted.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether events of `topic` are wanted.
    pub fn matches(&self, topic: &Topic) -> bool {
        self.matches_counted(topic, &mut 0)
    }

    /// The same, and adds what it has taken to `steps`.
    fn matches_counted(&self, topic: &Topic, steps: &mut usize) -> bool {
        if self.topics.binary_search(topic).is_ok() {
            return true;
        }
        let mut comparison = Comparison::new(topic);
        let matches = self.patterns.iter().any(|pattern| comparison.matches(pattern));
        *steps += comparison.steps();
        matches
    }

    /// Whether events of these topics are wanted: of one of them.
    pub fn matches_any<'a>(&self, topics: impl IntoIterator<Item = &'a Topic>) -> bool {
        topics.into_iter().any(|topic| self.matches(topic))
    }

    /// Whether every topic there can be is wanted.
    pub fn matches_everything(&self) -> bool {
        self.patterns.iter().any(Pattern::matches_everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Position, Timestamp};

    fn event(topic: &str, event_type: Option<&str>) -> Event {
        Event {
            position: Position::new(1, 1),
            topic: Topic::parse(topic).unwrap(),
            event_type: event_type.map(|t| EventType::parse(t).unwrap()),
            published_at: Timestamp(0),
            message: "".into(),
            extras: None,
        }
    }

    #[test]
    fn nothing_named_is_the_default_topic() {
        let selector = Selector::parse([], []).unwrap();
        assert_eq!(selector, Selector::default());
        assert!(selector.matches(&event("default", None)));
        assert!(!selector.matches(&event("other", None)));
    }

    #[test]
    fn message_names_the_untyped_and_those_called_message() {
        let selector = Selector::parse([], ["message"]).unwrap();
        assert!(selector.matches(&event("default", None)));
        assert!(selector.matches(&event("default", Some("message"))));
        assert!(!selector.matches(&event("default", Some("alert"))));
    }

    #[test]
    fn a_flood_of_topics_is_refused() {
        let names: Vec<_> = (0..257).map(|n| n.to_string()).collect();
        let refused = Selector::parse(names.iter().map(String::as_str), []);
        assert_eq!(refused, Err(InvalidSelector::TooManyTopics(257)));
    }
}
