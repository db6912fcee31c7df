//! Topics: what Mercure calls one, and what Fanfare does.
//!
//! A topic of Mercure's is any text without controls. One of Fanfare's is that too, but it holds no `*`, which is left
//! to patterns. So the two are the same text, but for each `*`, which is [`STAR`] in Fanfare's.

use std::borrow::Cow;

use fanfare_event::{InvalidTopic, Topic};

use crate::characters::are_allowed;

/// What stands for `*` in a native topic: U+F02A, of the private use area.
const STAR: char = '\u{f02a}';

/// Why a text is not a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// It has no characters.
    #[error("a topic must not be empty")]
    Empty,
    /// It holds what does not show.
    #[error("a topic must not contain control or format characters")]
    Forbidden,
    /// It holds what stands for another character here.
    #[error("a topic must not contain U+F02A, which stands for `*` here")]
    Star,
    /// It is longer than a topic may be here.
    #[error("a topic is at most {} bytes long", Topic::MAX_BYTES)]
    TooLong,
}

/// The native topic of this name.
///
/// # Errors
///
/// See [`InvalidTopicName`].
pub fn topic_of(name: &str) -> Result<Topic, InvalidTopicName> {
    if !are_allowed(name) {
        return Err(InvalidTopicName::Forbidden);
    }
    if name.contains(STAR) {
        return Err(InvalidTopicName::Star);
    }
    let native = if name.contains('*') {
        Cow::Owned(name.replace('*', STAR.encode_utf8(&mut [0; 4])))
    } else {
        Cow::Borrowed(name)
    };
    Topic::parse(&native).map_err(|invalid| match invalid {
        InvalidTopic::Empty => InvalidTopicName::Empty,
        InvalidTopic::TooLong(_) => InvalidTopicName::TooLong,
        InvalidTopic::Control | InvalidTopic::Invisible(_) | InvalidTopic::Wildcard => {
            InvalidTopicName::Forbidden
        }
    })
}

/// The name of a native topic.
pub fn name_of(topic: &Topic) -> Cow<'_, str> {
    let native = topic.as_str();
    if native.contains(STAR) {
        Cow::Owned(native.replace(STAR, "*"))
    } else {
        Cow::Borrowed(native)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_topic_that_could_forge_or_flood_is_refused() {
        for (name, why) in [
            ("", InvalidTopicName::Empty),
            ("a\nb", InvalidTopicName::Forbidden),
            ("a\u{85}", InvalidTopicName::Forbidden),
            ("a\u{7f}", InvalidTopicName::Forbidden),
            ("a\u{200d}b", InvalidTopicName::Forbidden),
            ("a\u{ad}b", InvalidTopicName::Forbidden),
            ("\u{e0041}", InvalidTopicName::Forbidden),
            ("a\u{f02a}", InvalidTopicName::Star),
            (&"x".repeat(Topic::MAX_BYTES + 1), InvalidTopicName::TooLong),
        ] {
            assert_eq!(topic_of(name), Err(why), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_back_as_it_was(name in ".{0,80}|[a*/]{1,60}") {
            if let Ok(topic) = topic_of(&name) {
                prop_assert_eq!(name_of(&topic), name);
            }
        }
    }
}
