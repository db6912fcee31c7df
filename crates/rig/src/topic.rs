//! What the rig publishes to, and what a subscriber asks for: a judgement of its own of which
//! topic a pattern means.

use std::fmt::Write as _;

/// How many topics there are.
pub const TOPICS: usize = 12;

/// The event types; the first is none.
pub const KINDS: [&str; 3] = ["", "note", "alert"];

/// The name of a topic.
pub fn topic(n: usize) -> String {
    let n = n % TOPICS;
    format!("rig/{}/{n}", n % 3)
}

/// What a subscriber asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicChoice {
    /// Topics and patterns.
    pub patterns: Vec<String>,
    /// The event types, by their place in [`KINDS`]; none means all.
    pub kinds: Vec<usize>,
}

impl TopicChoice {
    /// Of these patterns, with events of every type.
    pub fn of(patterns: &[&str]) -> Self {
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Self { patterns, kinds: Vec::new() }
    }

    /// One of any sort.
    pub fn any(random: &mut fastrand::Rng) -> Self {
        let one = topic(random.usize(..TOPICS));
        let other = topic(random.usize(..TOPICS));
        let mut selector = match random.u8(..8) {
            0 | 1 => Self::of(&["**"]),
            2 => Self::of(&["rig/**"]),
            3 => Self::of(&["rig/1/*"]),
            4 => Self::of(&[&format!("**/{}", random.usize(..TOPICS))]),
            5 => Self::of(&[&one, &other]),
            6 => Self::of(&[&one, "*/2/*"]),
            _ => Self::of(&[&one]),
        };
        if random.u8(..4) == 0 {
            selector.kinds.push(random.usize(..KINDS.len()));
        }
        selector
    }

    /// Whether it means events of this topic and type.
    pub fn wants(&self, topic: &str, kind: usize) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.patterns.iter().any(|pattern| {
                let pattern: Vec<_> = pattern.split('/').collect();
                let topic: Vec<_> = topic.split('/').collect();
                is_of(&pattern, &topic)
            })
    }

    /// As part of a URL.
    pub fn query(&self) -> String {
        let mut query = String::new();
        for pattern in &self.patterns {
            let _ = write!(query, "topic={pattern}&");
        }
        for &kind in &self.kinds {
            let _ = write!(query, "event={}&", ["message", KINDS[1], KINDS[2]][kind]);
        }
        query
    }
}

fn is_of(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=topic.len()).any(|skipped| is_of(rest, &topic[skipped..])),
        (["*", pattern @ ..], [_, topic @ ..]) => is_of(pattern, topic),
        ([literal, pattern @ ..], [segment, topic @ ..]) => {
            literal == segment && is_of(pattern, topic)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_the_contract_says() {
        for (pattern, topic, expected) in [
            ("rig/1/4", "rig/1/4", true),
            ("rig/*", "rig/1/4", false),
            ("rig/*/4", "rig/1/4", true),
            ("rig/**", "rig", true),
            ("**/4", "rig/1/4", true),
            ("**", "rig/1/4", true),
            ("**/5", "rig/1/4", false),
        ] {
            assert_eq!(TopicChoice::of(&[pattern]).wants(topic, 0), expected, "{pattern} {topic}");
        }
    }
}
