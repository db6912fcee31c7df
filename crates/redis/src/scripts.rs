//! The scripts that run inside Redis. Each is harmless when stopped half way.

use redis::{Pipeline, Value};

use crate::entry::text;
use crate::error::RedisRequestError;

/// The hashes by which a connection calls its scripts.
#[derive(Default)]
pub(crate) struct Scripts {
    pub(crate) check: String,
    pub(crate) fence: String,
    pub(crate) publish: String,
    pub(crate) expire: String,
    pub(crate) forget_ids: String,
    pub(crate) broadcast: String,
    pub(crate) heartbeat: String,
    pub(crate) deposit: String,
    pub(crate) withdraw: String,
}

/// The fence's text, allowed to write nothing: works where writes are refused, so that reading
/// goes on there.
const CHECK: &str = concat!("#!lua flags=no-writes\n", include_str!("fence.lua"));
/// The same, allowed to write even when memory is full: its few bytes let reading go on.
const FENCE: &str = concat!("#!lua flags=allow-oom\n", include_str!("fence.lua"));
/// Refused as a whole, before it begins, where writes are refused.
const PUBLISH: &str = concat!("#!lua\n", include_str!("publish.lua"));
/// Frees memory, and is therefore allowed when it is full.
const EXPIRE: &str = concat!("#!lua flags=allow-oom\n", include_str!("expire.lua"));
/// The same.
const FORGET_IDS: &str = concat!("#!lua flags=allow-oom\n", include_str!("forget_ids.lua"));
/// What nodes share are a few bytes for a while, and must come through when memory is full.
const BROADCAST: &str = concat!("#!lua flags=allow-oom\n", include_str!("broadcast.lua"));
const HEARTBEAT: &str = concat!("#!lua flags=allow-oom\n", include_str!("heartbeat.lua"));
const DEPOSIT: &str = concat!("#!lua flags=allow-oom\n", include_str!("deposit.lua"));
const WITHDRAW: &str = concat!("#!lua flags=allow-oom\n", include_str!("withdraw.lua"));

impl Scripts {
    pub(crate) const COUNT: usize = 9;

    pub(crate) fn load(setup: &mut Pipeline) {
        for script in
            [CHECK, FENCE, PUBLISH, EXPIRE, FORGET_IDS, BROADCAST, HEARTBEAT, DEPOSIT, WITHDRAW]
        {
            setup.cmd("SCRIPT").arg("LOAD").arg(script);
        }
    }

    pub(crate) fn loaded(answers: impl Iterator<Item = Value>) -> Result<Self, RedisRequestError> {
        let mut hashes = answers.map(|answer| match answer {
            Value::ServerError(error) => Err(RedisRequestError::Refused(error)),
            answer => text(answer).ok_or(RedisRequestError::Unexpected("SCRIPT LOAD")),
        });
        let mut next =
            || hashes.next().unwrap_or(Err(RedisRequestError::Unexpected("the number of scripts")));
        Ok(Self {
            check: next()?,
            fence: next()?,
            publish: next()?,
            expire: next()?,
            forget_ids: next()?,
            broadcast: next()?,
            heartbeat: next()?,
            deposit: next()?,
            withdraw: next()?,
        })
    }
}
