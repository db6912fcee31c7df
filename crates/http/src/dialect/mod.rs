//! Dialects: how requests and answers are spelled.
//!
//! What the hub does is the same in each: who is let in, what is published, what a stream carries. A
//! dialect reads what was asked for out of a request, and writes what came of it. The hub's own is the
//! first; another is a folder beside it that implements [`Dialect`], and a line in `router.rs`.

mod contract;
mod cursor;
mod idempotency_key;
mod mercure;
mod native;

#[cfg(test)]
pub(crate) use self::contract::Paths;
pub(crate) use self::contract::{Dialect, LineFormat, PublishRequest, QueryForm, SubscribeRequest};
pub(crate) use self::mercure::{Mercure, format as mercure_format};
pub use self::mercure::{MercureConfig, MercureTokens, Presence};
#[cfg(any(test, fuzzing))]
pub(crate) use self::native::probe;
pub(crate) use self::native::{
    NATIVE, check_text_query, detail, not_found, refused_text, statistics, text,
};
