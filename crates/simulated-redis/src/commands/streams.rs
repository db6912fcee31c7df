//! The commands on streams.

use std::sync::Arc;

use super::{CommandResult, Execution, number, syntax};
use crate::reply::Reply;
use crate::stream::{Bound, EntryFields, EntryId, Trim};

/// How many blocks an approximate trim drops at once, at most.
const BLOCKS_AT_ONCE: usize = 100;

impl Execution {
    pub(super) fn stream_command(&mut self, name: &str, words: &[Vec<u8>]) -> CommandResult {
        match (name, words) {
            ("xlen", [key]) => {
                let stream = self.database.stream(key, self.now)?;
                Ok(Reply::count(stream.map_or(0, |stream| stream.len())))
            }
            ("xadd", [key, words @ ..]) => self.xadd(key, words),
            ("xtrim", [key, words @ ..]) => {
                let (trim, rest) = trim(words)?;
                let (Some(trim), []) = (trim, rest) else { return Err(syntax()) };
                let now = self.now;
                if self.database.stream(key, now)?.is_none() {
                    return Ok(Reply::Int(0));
                }
                let most = BLOCKS_AT_ONCE * self.block;
                Ok(Reply::count(self.data().stream_mut(key, now)?.trim(trim, most)))
            }
            ("xdel", [key, ids @ ..]) => {
                let now = self.now;
                if self.database.stream(key, now)?.is_none() {
                    return Ok(Reply::Int(0));
                }
                let stream = self.data().stream_mut(key, now)?;
                let gone = ids.iter().map(|id| EntryId::parse(id, 0).map(|id| stream.delete(id)));
                let gone: Option<usize> = gone.sum();
                gone.map(Reply::count).ok_or_else(invalid_id)
            }
            ("xrange", [key, from, until, rest @ ..]) => {
                let (from, until) = (bound(from, true)?, bound(until, false)?);
                self.range(key, from, until, rest, false)
            }
            ("xrevrange", [key, until, from, rest @ ..]) => {
                let (from, until) = (bound(from, true)?, bound(until, false)?);
                self.range(key, from, until, rest, true)
            }
            ("xread", words) => self.xread(words),
            ("xinfo", [_, key]) => {
                let Some(stream) = self.database.stream(key, self.now)? else {
                    return Err(Reply::error("ERR no such key"));
                };
                let last = stream.last.unwrap_or(EntryId::MIN);
                let first = stream.first().map_or(Reply::Nil, entry);
                Ok(Reply::Array(vec![
                    Reply::text("length"),
                    Reply::count(stream.len()),
                    Reply::text("last-generated-id"),
                    Reply::text(last.to_string()),
                    Reply::text("first-entry"),
                    first,
                ]))
            }
            _ => Err(Reply::error(format!("ERR unknown command '{name}', or its arguments"))),
        }
    }

    fn xadd(&mut self, key: &[u8], words: &[Vec<u8>]) -> CommandResult {
        let (makes_none, words) = match words {
            [first, rest @ ..] if first.eq_ignore_ascii_case(b"nomkstream") => (true, rest),
            words => (false, words),
        };
        let (trim, words) = trim(words)?;
        let [id, fields @ ..] = words else { return Err(syntax()) };
        if fields.is_empty() || !fields.len().is_multiple_of(2) {
            return Err(Reply::error("ERR wrong number of arguments for 'xadd' command"));
        }
        let given = match &id[..] {
            b"*" => None,
            id => Some(EntryId::parse(id, 0).ok_or_else(invalid_id)?),
        };
        if given == Some(EntryId::MIN) {
            return Err(Reply::error("ERR The ID specified in XADD must be greater than 0-0"));
        }
        let (now, block) = (self.now, self.block);
        let found = self.database.stream(key, now)?;
        if found.is_none() && makes_none {
            return Ok(Reply::Nil);
        }
        let last = found.and_then(|stream| stream.last).unwrap_or(EntryId::MIN);
        let id = given.unwrap_or_else(|| EntryId(now, 0).max(last.next().unwrap_or(EntryId::MAX)));
        if id <= last {
            return Err(Reply::error(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ));
        }
        let stream = self.data().stream_mut(key, now)?;
        stream.push(id, EntryFields::from(fields), block);
        if let Some(trim) = trim {
            stream.trim(trim, BLOCKS_AT_ONCE * block);
        }
        Ok(Reply::text(id.to_string()))
    }

    fn range(
        &self,
        key: &[u8],
        from: Option<EntryId>,
        until: Option<EntryId>,
        rest: &[Vec<u8>],
        reversed: bool,
    ) -> CommandResult {
        let count = match rest {
            [] => usize::MAX,
            [word, count] if word.eq_ignore_ascii_case(b"count") => number(count)?,
            _ => return Err(syntax()),
        };
        let (Some(stream), Some(from), Some(until)) =
            (self.database.stream(key, self.now)?, from, until)
        else {
            return Ok(Reply::Array(Vec::new()));
        };
        let entries = stream.range(from, until);
        let replies = if reversed {
            entries.rev().take(count).map(entry).collect()
        } else {
            entries.take(count).map(entry).collect()
        };
        Ok(Reply::Array(replies))
    }

    /// Nothing where there is nothing new: whoever wants to wait asks again.
    fn xread(&self, mut words: &[Vec<u8>]) -> CommandResult {
        let mut count = usize::MAX;
        let rest = loop {
            match words {
                [word, rest @ ..] if word.eq_ignore_ascii_case(b"streams") => break rest,
                [word, value, rest @ ..] if word.eq_ignore_ascii_case(b"count") => {
                    (count, words) = (number(value)?, rest);
                }
                [word, _, rest @ ..] if word.eq_ignore_ascii_case(b"block") => words = rest,
                _ => return Err(syntax()),
            }
        };
        let (keys, after) = rest.split_at(rest.len() / 2);
        let mut news = Vec::new();
        for (key, after) in keys.iter().zip(after) {
            let after = EntryId::parse(after, 0).ok_or_else(invalid_id)?;
            let Some(stream) = self.database.stream(key, self.now)? else { continue };
            let Some(from) = after.next() else { continue };
            let entries: Vec<_> = stream.range(from, EntryId::MAX).take(count).map(entry).collect();
            if !entries.is_empty() {
                news.push(Reply::Array(vec![Reply::text(key), Reply::Array(entries)]));
            }
        }
        Ok(if news.is_empty() { Reply::Nil } else { Reply::Array(news) })
    }
}

fn entry((id, fields): &(EntryId, Arc<[Vec<u8>]>)) -> Reply {
    let fields = fields.iter().map(Reply::text).collect();
    Reply::Array(vec![Reply::text(id.to_string()), Reply::Array(fields)])
}

/// A trim at the beginning of these words, if there is one, and what comes after.
fn trim(words: &[Vec<u8>]) -> Result<(Option<Trim>, &[Vec<u8>]), Reply> {
    let [word, rest @ ..] = words else { return Ok((None, words)) };
    let is_length = match &word.to_ascii_lowercase()[..] {
        b"maxlen" => true,
        b"minid" => false,
        _ => return Ok((None, words)),
    };
    let (is_approximate, rest) = match rest {
        [sign, rest @ ..] if &sign[..] == b"~" => (true, rest),
        [sign, rest @ ..] if &sign[..] == b"=" => (false, rest),
        rest => (false, rest),
    };
    let [bound, rest @ ..] = rest else { return Err(syntax()) };
    let bound = if is_length {
        let length: i64 = number(bound)?;
        let length = usize::try_from(length)
            .map_err(|_| Reply::error("ERR The MAXLEN argument must be >= 0."))?;
        Bound::Length(length)
    } else {
        Bound::From(EntryId::parse(bound, 0).ok_or_else(invalid_id)?)
    };
    Ok((Some(Trim { bound, is_approximate }), rest))
}

/// One end of a range; `None` where nothing lies beyond it.
fn bound(text: &[u8], is_start: bool) -> Result<Option<EntryId>, Reply> {
    let rest = if is_start { 0 } else { u64::MAX };
    match text {
        b"-" => Ok(Some(EntryId::MIN)),
        b"+" => Ok(Some(EntryId::MAX)),
        [b'(', id @ ..] => {
            let id = EntryId::parse(id, rest).ok_or_else(invalid_id)?;
            Ok(if is_start { id.next() } else { id.before() })
        }
        id => EntryId::parse(id, rest).map(Some).ok_or_else(invalid_id),
    }
}

fn invalid_id() -> Reply {
    Reply::error("ERR Invalid stream ID specified as stream command argument")
}
