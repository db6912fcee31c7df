//! Mercure's protocol, as far as it is text: what publishers and subscribers ask for, what tokens grant, and
//! which topics a matcher matches.
//!
//! What must hold: what is accepted here is valid, and is in the words of [`fanfare_event`] from then on; what
//! is not, is refused for a reason that the protocol knows. Matching takes time that is linear in the topic,
//! whatever the matcher. No HTTP and no I/O.

mod active_subscription;
mod characters;
mod claims;
mod compiled;
mod form;
mod hub_url;
mod matcher;
mod read_url;
mod subscription;
mod template;
mod topic;
mod update;
mod url_pattern;

pub use active_subscription::{ActiveSubscription, MercureSubscriberId, SubscriptionsPath};
pub use claims::{Expected, InvalidClaims, MercureRights, Payloads};
pub use hub_url::{InvalidMercureUrl, MercureUrl};
pub use matcher::{InvalidMatcher, Matcher, MatcherType, NativeMatcher};
pub use subscription::{InvalidMercureSubscription, MercureSubscription, last_event_id};
pub use topic::{InvalidTopicName, name_of, topic_of};
pub use update::{InvalidUpdate, Update};
