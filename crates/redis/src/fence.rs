//! The fence: whether this server may have lost writes since it was last fenced, and a new epoch
//! where it may.

use std::time::Duration;

use fanfare_event::{Position, Timestamp};
use fanfare_log::{Ended, Lineage, next_epoch};
use redis::{Cmd, Value};
use tokio::time::Instant;

use crate::entry::text;
use crate::error::RedisRequestError;
use crate::link::Link;
use crate::stream_state::StreamState;

/// How many names for an epoch are tried: each of the others was taken by another node meanwhile.
const MAX_NAMES: usize = 16;
/// For how long a fence is evidence that the server was the same.
const FRESH: Duration = Duration::from_secs(10);

impl Link {
    /// Fences: a new epoch where the server may have lost writes, or has less than `heard`, the last
    /// position of each epoch that this node knows of.
    pub(crate) async fn fence(&mut self, heard: &[Position]) -> Result<(), RedisRequestError> {
        let syncs = self.syncs_always().await?;
        let check = self.call_fence(&self.scripts.check, "check", syncs, heard);
        let mut found = Found::parse(self.request(&check).await?)?;
        for _ in 0..MAX_NAMES {
            match found {
                Found::State { fenced, to_note, server } => {
                    self.fenced = fenced;
                    self.fenced_as = Some((server, Instant::now()));
                    if to_note {
                        let note = self.call_fence(&self.scripts.fence, "0", syncs, heard);
                        // Where this is refused, so are publishes: there is nothing to fear for. The
                        // next fence tries again.
                        match self.request(&note).await {
                            Ok(_) | Err(RedisRequestError::Refused(_)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    return Ok(());
                }
                Found::Due { greatest, now } => {
                    let name = next_epoch(greatest, now, self.environment.random()).to_string();
                    let begin = self.call_fence(&self.scripts.fence, &name, syncs, heard);
                    found = Found::parse(self.request(&begin).await?)?;
                }
            }
        }
        Err(RedisRequestError::Unexpected("the fence: other nodes are always faster"))
    }

    /// Whether this server says that it syncs every write before it answers. Asked anew each time,
    /// since it can be told otherwise while it runs; not where this user may not ask.
    async fn syncs_always(&mut self) -> Result<bool, RedisRequestError> {
        if !self.may_ask_config {
            return Ok(false);
        }
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg("appendfsync").arg("no-appendfsync-on-rewrite");
        let answer = match self.request(&question).await {
            Err(RedisRequestError::Refused(_)) => {
                self.may_ask_config = false;
                return Ok(false);
            }
            answer => answer?,
        };
        let Value::Array(words) = answer else { return Ok(false) };
        let words: Vec<_> = words.into_iter().filter_map(text).collect();
        let is = |name: &str, value: &str| words.chunks(2).any(|pair| pair == [name, value]);
        Ok(is("appendfsync", "always") && is("no-appendfsync-on-rewrite", "no"))
    }

    fn call_fence(&self, script: &str, name: &str, syncs: bool, heard: &[Position]) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(script).arg(3);
        call.arg(&*self.keys.events).arg(&*self.keys.lineage).arg(&*self.keys.notices);
        call.arg(name).arg(Lineage::MAX_ANCESTORS).arg(Lineage::RECENT);
        call.arg(if syncs { "always" } else { "" });
        let fresh = self.fenced_as.as_ref().filter(|(_, at)| at.elapsed() < FRESH);
        call.arg(fresh.map_or("", |(server, _)| server.as_str()));
        for position in heard {
            call.arg(position.to_string());
        }
        call
    }

    /// The lineage of `epoch`.
    pub(crate) async fn lineage(&mut self, epoch: u64) -> Result<Lineage, RedisRequestError> {
        let mut question = redis::cmd("HMGET");
        question.arg(&*self.keys.lineage).arg("epoch").arg("ancestors");
        let Value::Array(fields) = self.request(&question).await? else {
            return Err(RedisRequestError::Unexpected("HMGET"));
        };
        let mut fields = fields.into_iter().map(|field| text(field).unwrap_or_default());
        let (current, ancestors) =
            (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        // What is not a lineage is none: every cursor from before then meets an unknown epoch.
        let lineage = recorded(&current, &ancestors, epoch);
        Ok(lineage.unwrap_or_else(|| Lineage::root(epoch)))
    }
}

/// The ancestors of `epoch`, as the fence wrote them: `<epoch>-<end>` and 1 where something was lost
/// behind it, for each.
fn recorded(current: &str, ancestors: &str, epoch: u64) -> Option<Lineage> {
    let mut words = ancestors.split(' ').filter(|word| !word.is_empty());
    let (mut ends, mut is_named) = (Vec::new(), current.parse() == Ok(epoch));
    while let Some(end) = words.next() {
        let end: Position = end.parse().ok()?;
        let lossy = words.next()? != "0";
        is_named |= end.epoch == epoch;
        if end.epoch < epoch {
            ends.push(Ended { end, lossy });
        }
    }
    Lineage::recorded(ends, epoch).filter(|_| is_named)
}

/// What a fence answers.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// All is well, or is now. It may be to be noted that from now on something could be lost.
    State { fenced: StreamState, to_note: bool, server: String },
    /// Something is to be written, under a name greater than any.
    Due { greatest: u64, now: Timestamp },
}

impl Found {
    fn parse(answer: Value) -> Result<Self, RedisRequestError> {
        const UNEXPECTED: RedisRequestError = RedisRequestError::Unexpected("the fence");
        let Value::Array(fields) = answer else { return Err(UNEXPECTED) };
        if let [Value::BulkString(greatest), Value::BulkString(now)] = &fields[..] {
            let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
            let (greatest, now) = (number(greatest), number(now).map(Timestamp));
            return Ok(Self::Due {
                greatest: greatest.ok_or(UNEXPECTED)?,
                now: now.ok_or(UNEXPECTED)?,
            });
        }
        let [last, first, Value::Int(length), Value::Int(to_note), server] =
            <[Value; 5]>::try_from(fields).map_err(|_| UNEXPECTED)?
        else {
            return Err(UNEXPECTED);
        };
        let text = |value| text(value).ok_or(UNEXPECTED);
        let (last, first) = (text(last)?, text(first)?);
        let fenced = StreamState {
            last: last.parse().map_err(|_| UNEXPECTED)?,
            first: first.parse().ok(),
            length: u64::try_from(length).map_err(|_| UNEXPECTED)?,
        };
        Ok(Self::State { fenced, to_note: to_note != 0, server: text(server)? })
    }
}
