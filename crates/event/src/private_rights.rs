//! Private rights: what a subscriber may hear of what is not published to everyone.

use std::sync::Arc;

use crate::{Pattern, Topic};

/// Of which topics a subscriber hears private events too. They come from a grant of its own, never from
/// what everyone may hear; the default is none. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PrivateRights {
    /// Of none: an anonymous subscriber.
    #[default]
    None,
    /// Of those that a pattern matches.
    Those(Arc<[Pattern]>),
    /// Of all there can be.
    Every,
}

impl PrivateRights {
    /// Of the topics of these patterns.
    pub fn of(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let patterns: Arc<[_]> = patterns.into_iter().collect();
        if patterns.iter().any(Pattern::matches_everything) {
            Self::Every
        } else if patterns.is_empty() {
            Self::None
        } else {
            Self::Those(patterns)
        }
    }

    /// Whether they cover one of these topics.
    pub fn cover<'a>(&self, topics: impl IntoIterator<Item = &'a Topic>) -> bool {
        let mut topics = topics.into_iter();
        match self {
            Self::None => false,
            Self::Every => topics.next().is_some(),
            Self::Those(patterns) => {
                topics.any(|topic| patterns.iter().any(|pattern| pattern.matches(topic)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_to_one_topic_are_rights_to_an_event_of_it_and_others() {
        let topics = ["a", "b/1"].map(|name| Topic::parse(name).unwrap());
        let rights = |texts: &[&str]| {
            PrivateRights::of(texts.iter().map(|text| Pattern::parse(text).unwrap()))
        };
        assert!(!PrivateRights::default().cover(&topics));
        assert!(!rights(&[]).cover(&topics));
        assert!(!rights(&["b", "c/*"]).cover(&topics));
        assert!(rights(&["b/*"]).cover(&topics));
        assert!(rights(&["a"]).cover(&topics));
        assert_eq!(rights(&["x", "**"]), PrivateRights::Every);
    }
}
