//! What stands for Redis in a program that was built without it.

use super::SettingValue;

/// Where Redis is: nowhere that this program can reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedisUrl {}

/// The name under which events are kept in Redis, which nobody reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(());

/// Redis was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this program was built without Redis: build it with the feature `redis`")]
pub(crate) struct BuiltWithoutRedis;

impl SettingValue for RedisUrl {
    const PLACEHOLDER: &'static str = "URL";
    const NOUN: &'static str = "usable";
    const SECRET: bool = true;
    type Error = BuiltWithoutRedis;

    fn parse(_: &str) -> Result<Self, BuiltWithoutRedis> {
        Err(BuiltWithoutRedis)
    }
}

impl SettingValue for Namespace {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a namespace";
    type Error = BuiltWithoutRedis;

    fn parse(_: &str) -> Result<Self, BuiltWithoutRedis> {
        Ok(Self(()))
    }
}
