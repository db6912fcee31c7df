//! Names of topics, each once, while the heads of indices are read.
//!
//! What must hold: a name that was met before costs a lookup, and nothing else: millions of them are read at
//! a start.

use std::collections::HashMap;

use fanfare_event::Topic;

/// The names.
#[derive(Debug, Default)]
pub(crate) struct NameTable {
    places: HashMap<Topic, u32>,
    names: Vec<Topic>,
}

impl NameTable {
    /// The place of a name; `None` where it is none.
    pub(crate) fn place(&mut self, name: &str) -> Option<u32> {
        if let Some(&place) = self.places.get(name) {
            return Some(place);
        }
        Topic::parse(name).ok().map(|topic| self.place_of(&topic))
    }

    /// The place of a topic.
    pub(crate) fn place_of(&mut self, topic: &Topic) -> u32 {
        if let Some(&place) = self.places.get(topic) {
            return place;
        }
        let place = self.names.len() as u32;
        self.places.insert(topic.clone(), place);
        self.names.push(topic.clone());
        place
    }

    /// The names, in the order of their places.
    pub(crate) fn names(&self) -> &[Topic] {
        &self.names
    }
}
