//! Where Redis is, and under which name events are kept there.

use fanfare_redis::{InvalidNamespace, InvalidUrl};
pub use fanfare_redis::{Namespace, RedisUrl};

use super::SettingValue;

impl SettingValue for RedisUrl {
    const PLACEHOLDER: &'static str = "URL";
    const NOUN: &'static str = "a Redis URL";
    // It may hold a password.
    const SECRET: bool = true;
    type Error = InvalidUrl;

    fn parse(text: &str) -> Result<Self, InvalidUrl> {
        text.parse()
    }
}

impl SettingValue for Namespace {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a namespace";
    type Error = InvalidNamespace;

    fn parse(text: &str) -> Result<Self, InvalidNamespace> {
        Self::parse(text)
    }
}
