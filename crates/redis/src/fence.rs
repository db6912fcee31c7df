//! The fence: whether this server may have lost writes since it was last fenced, and a new epoch
//! where it may.

use fanfare_event::{Position, Timestamp};
use fanfare_log::Lineage;
use redis::{Cmd, Pipeline, Value};

use crate::connection::Link;
use crate::entry::text;
use crate::error::RequestError;

/// What a fence found, or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fenced {
    /// The last position the stream has given out; its epoch is the current one.
    pub(crate) last: Position,
    /// The first entry, event or marker, that is retained.
    pub(crate) first: Option<Position>,
    /// When that entry was published.
    pub(crate) first_at: Option<Timestamp>,
    /// How many entries are retained, markers among them.
    pub(crate) length: u64,
}

/// The hashes by which a connection calls its scripts.
#[derive(Default)]
pub(crate) struct Scripts {
    check: String,
    fence: String,
    pub(crate) publish: String,
    pub(crate) expire: String,
    pub(crate) notify: String,
    pub(crate) attend: String,
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
/// What nodes share are a few bytes for a while, and must come through when memory is full.
const NOTIFY: &str = concat!("#!lua flags=allow-oom\n", include_str!("notify.lua"));
const ATTEND: &str = concat!("#!lua flags=allow-oom\n", include_str!("attend.lua"));
const DEPOSIT: &str = concat!("#!lua flags=allow-oom\n", include_str!("deposit.lua"));
const WITHDRAW: &str = concat!("#!lua flags=allow-oom\n", include_str!("withdraw.lua"));

impl Scripts {
    pub(crate) const COUNT: usize = 8;

    pub(crate) fn load(setup: &mut Pipeline) {
        for script in [CHECK, FENCE, PUBLISH, EXPIRE, NOTIFY, ATTEND, DEPOSIT, WITHDRAW] {
            setup.cmd("SCRIPT").arg("LOAD").arg(script);
        }
    }

    pub(crate) fn loaded(answers: impl Iterator<Item = Value>) -> Result<Self, RequestError> {
        let mut hashes = answers.map(|answer| match answer {
            Value::ServerError(error) => Err(RequestError::Refused(error)),
            answer => text(answer).ok_or(RequestError::Unexpected("SCRIPT LOAD")),
        });
        let mut next =
            || hashes.next().unwrap_or(Err(RequestError::Unexpected("the number of scripts")));
        Ok(Self {
            check: next()?,
            fence: next()?,
            publish: next()?,
            expire: next()?,
            notify: next()?,
            attend: next()?,
            deposit: next()?,
            withdraw: next()?,
        })
    }
}

impl Link {
    /// Fences: a new epoch where the server may have lost writes or has less than `heard`.
    pub(crate) async fn fence(&mut self, heard: Position) -> Result<(), RequestError> {
        let found = self.request(&self.call_fence(&self.scripts.check, "check", heard)).await?;
        self.fenced = match Fenced::parse(found)? {
            Some(fenced) => fenced,
            None => {
                let begun = self.call_fence(&self.scripts.fence, "fence", heard);
                let begun = Fenced::parse(self.request(&begun).await?)?;
                begun.ok_or(RequestError::Unexpected("the fence"))?
            }
        };
        Ok(())
    }

    fn call_fence(&self, script: &str, mode: &str, heard: Position) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(script).arg(3);
        call.arg(&*self.keys.events).arg(&*self.keys.lineage).arg(&*self.keys.server);
        call.arg(mode).arg(heard.epoch).arg(heard.seq).arg(Lineage::MAX_ANCESTORS);
        call
    }

    /// The lineage as it was when `epoch` began.
    pub(crate) async fn lineage(&mut self, epoch: u64) -> Result<Lineage, RequestError> {
        let mut question = redis::cmd("LRANGE");
        question.arg(&*self.keys.lineage).arg(0).arg(-1);
        let Value::Array(ends) = self.request(&question).await? else {
            return Err(RequestError::Unexpected("LRANGE"));
        };
        let ends: Option<Vec<Position>> =
            ends.into_iter().map(|end| text(end)?.parse().ok()).collect();
        // What is not a lineage is none: every cursor from before then meets an unknown epoch.
        let ends = ends.unwrap_or_default().into_iter().filter(|end| end.epoch < epoch);
        Ok(Lineage::recorded(ends, epoch).unwrap_or_else(|| Lineage::root(epoch)))
    }
}

impl Fenced {
    /// Before the first fence.
    pub(crate) const UNKNOWN: Self =
        Self { last: Position::ORIGIN, first: None, first_at: None, length: 0 };

    fn parse(answer: Value) -> Result<Option<Self>, RequestError> {
        const UNEXPECTED: RequestError = RequestError::Unexpected("the fence");
        let fields = match answer {
            Value::Nil => return Ok(None),
            Value::Array(fields) => fields,
            _ => return Err(UNEXPECTED),
        };
        let [last, first, first_at, Value::Int(length)] =
            <[Value; 4]>::try_from(fields).map_err(|_| UNEXPECTED)?
        else {
            return Err(UNEXPECTED);
        };
        let text = |value| text(value).ok_or(UNEXPECTED);
        let (last, first, first_at) = (text(last)?, text(first)?, text(first_at)?);
        Ok(Some(Self {
            last: last.parse().map_err(|_| UNEXPECTED)?,
            first: first.parse().ok(),
            first_at: first_at.parse().ok().map(Timestamp),
            length: u64::try_from(length).map_err(|_| UNEXPECTED)?,
        }))
    }

    /// The position up to which nothing is retained.
    pub(crate) fn trimmed_through(&self) -> Position {
        match self.first {
            Some(first) => Position::new(first.epoch, first.seq.saturating_sub(1)),
            None => self.last,
        }
    }
}
