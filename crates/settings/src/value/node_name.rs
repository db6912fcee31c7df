//! What a node is called.

use super::SettingValue;

/// The name of a node: 1 to 64 characters that can be shown on one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName(String);

/// A text that is no name of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write 1 to 64 printable characters, such as eu-1")]
pub struct InvalidNodeName;

impl NodeName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for NodeName {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a node's name";
    type Error = InvalidNodeName;

    fn parse(text: &str) -> Result<Self, InvalidNodeName> {
        let fits = (1..=64).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNodeName)
        }
    }
}
