//! The nouns every other crate speaks in: [`Topic`], [`Pattern`], [`Selector`], [`EventType`],
//! [`Position`], [`Event`], [`EventId`].
//!
//! What must hold: a value of one of these types is valid. Text from outside becomes one of them
//! by `parse`, once, at the edge; nothing further in checks it again. No type here does I/O.

mod comparison;
mod event;
mod event_id;
mod event_type;
mod expression;
mod extras;
mod invisible;
mod pattern;
mod places;
mod position;
mod private_rights;
mod selector;
mod spread_topic;
mod timestamp;
mod topic;

pub use comparison::Comparison;
pub use event::{Draft, Event};
pub use event_id::{EventId, InvalidEventId};
pub use event_type::{EventType, InvalidEventType};
pub use expression::{AsWritten, Beginning, Expression, Reading};
pub use extras::{Extras, TooManyTopics};
pub use invisible::{is_deceptive, is_harmful, printable};
pub use pattern::{InvalidPattern, Pattern};
pub use places::Places;
pub use position::{InvalidPosition, Position};
pub use private_rights::PrivateRights;
pub use selector::{InvalidSelector, Selector, TopicSelector};
pub use spread_topic::SpreadTopic;
pub use timestamp::Timestamp;
pub use topic::{InvalidTopic, Topic};
