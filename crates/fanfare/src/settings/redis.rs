//! Where Redis is, and under which name events are kept there.

use fanfare_redis::{InvalidNamespace, InvalidUrl, Namespace, RedisUrl};

use super::field::Value;

impl Value for RedisUrl {
    const PLACEHOLDER: &'static str = "URL";
    const NOUN: &'static str = "a Redis URL";
    type Error = InvalidUrl;

    fn parse(text: &str) -> Result<Self, InvalidUrl> {
        text.parse()
    }
}

impl Value for Namespace {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a namespace";
    type Error = InvalidNamespace;

    fn parse(text: &str) -> Result<Self, InvalidNamespace> {
        Self::parse(text)
    }
}
