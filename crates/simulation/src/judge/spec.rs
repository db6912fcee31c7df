//! The specification of a subscription: what a client asks for, and whether an event is part of it.

/// How a client wants its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpecEnvelope {
    /// The message itself.
    None,
    /// JSON, with the event type outside too.
    Json,
    /// JSON, and nothing outside.
    Sealed,
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionSpec {
    /// Topics and patterns.
    pub(crate) topics: &'static [&'static str],
    /// Event types; none is all.
    pub(crate) types: &'static [&'static str],
    /// How it wants its data.
    pub(crate) envelope: SpecEnvelope,
    /// Whether its connections carry chunks.
    pub(crate) chunked: bool,
    /// Of which topics it was granted private events, by patterns.
    pub(crate) granted: &'static [&'static str],
}

impl SubscriptionSpec {
    /// Whether an event is of it: one of its topics is.
    pub(crate) fn wants(&self, topics: &[String], event_type: Option<&str>) -> bool {
        let of_type = self.types.is_empty()
            || self.types.iter().any(|wanted| *wanted == event_type.unwrap_or("message"));
        of_type && topics.iter().any(|topic| is_among(self.topics, topic))
    }

    /// Whether private events of these topics may reach it.
    pub(crate) fn is_granted(&self, topics: &[String]) -> bool {
        topics.iter().any(|topic| is_among(self.granted, topic))
    }
}

/// Whether one of the patterns matches a topic.
fn is_among(patterns: &[&str], topic: &str) -> bool {
    let segments: Vec<_> = topic.split('/').collect();
    patterns.iter().any(|pattern| {
        let pattern: Vec<_> = pattern.split('/').collect();
        is_matched(&pattern, &segments)
    })
}

/// `*` is one segment, `**` any number, also none.
fn is_matched(pattern: &[&str], segments: &[&str]) -> bool {
    match (pattern.split_first(), segments.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            is_matched(rest, segments)
                || segments.split_first().is_some_and(|(_, after)| is_matched(pattern, after))
        }
        (Some((first, rest)), Some((segment, after))) => {
            (*first == "*" || first == segment) && is_matched(rest, after)
        }
        _ => false,
    }
}
