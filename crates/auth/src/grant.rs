//! Grants: the topics that someone may publish to, or listen to.

use std::sync::Arc;

use fanfare_event::{Draft, Pattern, PrivateRights, Selector, Topic, TopicSelector};

use crate::authorised::{Authorised, Forbidden};
use crate::containment::{ComparisonBudget, contains};

/// Where someone may publish. The default is nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishGrant(Topics);

/// What someone may listen to. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscribeGrant(Topics);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Topics {
    Every,
    /// Shared: a grant is handed on to tickets and streams, and a long one is not copied.
    Those(Arc<[Pattern]>),
}

impl Default for Topics {
    fn default() -> Self {
        Self::Those(Arc::default())
    }
}

impl Topics {
    fn of(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let patterns: Arc<[_]> = patterns.into_iter().collect();
        if patterns.iter().any(Pattern::matches_everything) {
            Self::Every
        } else {
            Self::Those(patterns)
        }
    }

    fn or(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Those(these), Self::Those(those)) if those.is_empty() => {
                Self::Those(Arc::clone(these))
            }
            (Self::Those(these), Self::Those(those)) => {
                Self::Those(these.iter().chain(those.iter()).cloned().collect())
            }
            _ => Self::Every,
        }
    }

    fn hold(&self, topic: &Topic) -> bool {
        match self {
            Self::Every => true,
            Self::Those(patterns) => patterns.iter().any(|pattern| pattern.matches(topic)),
        }
    }
}

impl PublishGrant {
    /// Every topic there can be.
    pub const EVERYTHING: Self = Self(Topics::Every);

    /// The topics of these patterns.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        Self(Topics::of(patterns))
    }

    /// Both grants together.
    pub fn or(&self, other: &Self) -> Self {
        Self(self.0.or(&other.0))
    }

    /// Whether no topic at all is granted.
    pub fn grants_nothing(&self) -> bool {
        matches!(&self.0, Topics::Those(patterns) if patterns.is_empty())
    }

    /// Whether publishing to `topic` is granted.
    pub fn allows(&self, topic: &Topic) -> bool {
        self.0.hold(topic)
    }

    /// Takes a batch whose every topic is granted, each of an event with several.
    ///
    /// # Errors
    ///
    /// [`Forbidden`], for the batch as a whole.
    pub fn authorise(&self, drafts: Vec<Draft>) -> Result<Authorised<Vec<Draft>>, Forbidden> {
        let granted = drafts.iter().flat_map(Draft::topics).all(|topic| self.allows(topic));
        if granted { Ok(Authorised::new(drafts)) } else { Err(Forbidden) }
    }

    /// Takes one more event into a batch, if its every topic is granted.
    ///
    /// # Errors
    ///
    /// [`Forbidden`], for this event; the batch is as it was.
    pub fn authorise_another(
        &self,
        draft: Draft,
        batch: &mut Authorised<Vec<Draft>>,
    ) -> Result<(), Forbidden> {
        if !draft.topics().all(|topic| self.allows(topic)) {
            return Err(Forbidden);
        }
        batch.so_far().push(draft);
        Ok(())
    }
}

impl SubscribeGrant {
    /// Every topic there can be.
    pub const EVERYTHING: Self = Self(Topics::Every);

    /// The topics of these patterns.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        Self(Topics::of(patterns))
    }

    /// Both grants together.
    pub fn or(&self, other: &Self) -> Self {
        Self(self.0.or(&other.0))
    }

    /// Whether no topic at all is granted.
    pub fn grants_nothing(&self) -> bool {
        matches!(&self.0, Topics::Those(patterns) if patterns.is_empty())
    }

    /// What it takes up, in bytes.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Topics::Every => 0,
            Topics::Those(patterns) => {
                let weight = |pattern: &Pattern| pattern.as_str().len() + size_of::<Pattern>();
                patterns.iter().map(weight).sum()
            }
        }
    }

    /// The patterns that make the same grant again; of one in expressions, less.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &str> {
        let (every, those) = match &self.0 {
            Topics::Every => (Some("**"), &[][..]),
            Topics::Those(patterns) => (None, &patterns[..]),
        };
        every.into_iter().chain(those.iter().filter(|p| p.has_segments()).map(Pattern::as_str))
    }

    /// What it lets its holder hear of private events.
    pub fn private_rights(&self) -> PrivateRights {
        match &self.0 {
            Topics::Every => PrivateRights::Every,
            Topics::Those(patterns) if patterns.is_empty() => PrivateRights::None,
            Topics::Those(patterns) => PrivateRights::Those(Arc::clone(patterns)),
        }
    }

    /// Whether everything that `selector` spans is granted: each of its topics matches a granted
    /// pattern, and each of its patterns lies inside one.
    ///
    /// Exact, but for patterns made to be hard to decide, which are refused. Costs microseconds,
    /// and never more than some milliseconds.
    pub fn covers(&self, selector: &TopicSelector) -> bool {
        let Topics::Those(granted) = &self.0 else { return true };
        let mut budget = ComparisonBudget::new();
        let mut is_inside = |asked| granted.iter().any(|g| contains(g, asked, &mut budget));
        selector.topics().iter().all(|topic| self.0.hold(topic))
            && selector.patterns().iter().all(&mut is_inside)
    }

    /// Takes a selector that is covered.
    ///
    /// # Errors
    ///
    /// [`Forbidden`], for the selector as a whole.
    pub fn authorise(&self, selector: Selector) -> Result<Authorised<Selector>, Forbidden> {
        let granted = self.covers(&selector.topics);
        if granted { Ok(Authorised::new(selector)) } else { Err(Forbidden) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    fn draft(topic: &str) -> Draft {
        Draft {
            topic: Topic::parse(topic).unwrap(),
            event_type: None,
            message: "".into(),
            extras: None,
        }
    }

    #[test]
    fn no_topic_that_is_not_granted_slips_in_among_others() {
        let grant = PublishGrant::new(patterns(&["orders/*"]));
        assert!(grant.authorise(vec![draft("orders/1"), draft("orders/2")]).is_ok());
        assert_eq!(grant.authorise(vec![draft("orders/1"), draft("chat")]), Err(Forbidden));
        let mut batch = grant.authorise(Vec::new()).unwrap();
        assert_eq!(grant.authorise_another(draft("orders/1"), &mut batch), Ok(()));
        assert_eq!(grant.authorise_another(draft("chat"), &mut batch), Err(Forbidden));
        assert_eq!(batch.into_inner(), [draft("orders/1")]);

        let grant = SubscribeGrant::new(patterns(&["orders/**", "news"]));
        let ask = |topics: &[&str]| {
            grant.authorise(Selector::parse(topics.iter().copied(), []).unwrap()).is_ok()
        };
        assert!(ask(&["orders", "orders/*", "news", "orders/1/**"]));
        assert!(!ask(&["orders/1", "chat"]));
        assert!(!ask(&["orders/1", "**"]));
        assert!(!ask(&[]), "the default topic needs a grant too");
    }

    #[test]
    fn nobody_is_granted_anything_by_default() {
        assert!(!PublishGrant::default().allows(&Topic::default()));
        assert!(!SubscribeGrant::default().covers(&Selector::default().topics));
        assert!(SubscribeGrant::new(patterns(&["**"])).covers(&Selector::default().topics));
    }
}
