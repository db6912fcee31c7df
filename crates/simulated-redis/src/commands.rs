//! The commands: those that the hub sends, and those that its scripts call.

use std::sync::Arc;

use crate::database::{Database, Stored};
use crate::reply::Reply;

mod streams;

/// On what a command works, and what it may do.
pub(crate) struct Execution {
    pub(crate) database: Arc<Database>,
    /// Milliseconds since 1970.
    pub(crate) now: u64,
    /// How many entries a block of a stream holds.
    pub(crate) block: usize,
    /// An answer to `INFO`.
    pub(crate) info: Arc<str>,
    /// A command that this user may not call, in lower case.
    pub(crate) denied: Option<String>,
    /// Whether anything was written.
    pub(crate) wrote: bool,
    /// Nothing may be written by this script.
    pub(crate) is_read_only: bool,
    /// A script is running.
    pub(crate) in_script: bool,
}

type CommandResult = Result<Reply, Reply>;

const WRITES: [&str; 11] =
    ["xadd", "xtrim", "xdel", "hset", "hdel", "set", "del", "rpush", "lpop", "pexpire", "flushall"];

impl Execution {
    /// Carries out one command.
    pub(crate) fn call(&mut self, words: &[Vec<u8>]) -> Reply {
        let Some(name) = words.first() else { return Reply::error("ERR empty command") };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if self.denied.as_deref() == Some(&name) {
            return Reply::error(if self.in_script {
                "ERR The user executing the script can't run this command or subcommand".to_owned()
            } else {
                format!("NOPERM User default has no permissions to run the '{name}' command")
            });
        }
        let writes = WRITES.contains(&name.as_str());
        if writes && self.is_read_only {
            return Reply::error("ERR Write commands are not allowed from read-only scripts.");
        }
        let reply = self.dispatch(&name, &words[1..]).unwrap_or_else(|error| error);
        self.wrote |= writes && !matches!(reply, Reply::Error(_));
        reply
    }

    fn dispatch(&mut self, name: &str, words: &[Vec<u8>]) -> CommandResult {
        match (name, words) {
            ("type", [key]) => self.kind(key),
            ("exists", [key]) => Ok(Reply::Int(self.exists(key).into())),
            ("del", keys) => {
                let now = self.now;
                let data = self.data();
                Ok(Reply::count(keys.iter().filter(|key| data.remove(key, now)).count()))
            }
            ("flushall", _) => {
                self.database = Arc::default();
                Ok(Reply::ok())
            }
            ("time", []) => Ok(Reply::Array(vec![
                Reply::text((self.now / 1000).to_string()),
                Reply::text((self.now % 1000 * 1000).to_string()),
            ])),
            ("info", _) => Ok(Reply::text(self.info.as_bytes())),
            ("get", [key]) => Ok(match self.database.text(key, self.now)? {
                Some(text) => Reply::text(text),
                None => Reply::Nil,
            }),
            ("set", [key, value, options @ ..]) => self.set(key, value, options),
            ("pexpire", [key, millis]) => {
                let (at, now) = (self.now + number::<u64>(millis)?, self.now);
                Ok(Reply::Int(self.data().end_at(key, at, now).into()))
            }
            ("hget", [key, field]) => Ok(self.field(key, field)?),
            ("hmget", [key, fields @ ..]) => {
                let values = fields.iter().map(|field| self.field(key, field));
                Ok(Reply::Array(values.collect::<Result<_, _>>()?))
            }
            ("hgetall", [key]) => {
                let fields = self.database.hash(key, self.now)?.iter();
                let both = fields.flat_map(|(name, value)| [Reply::text(name), Reply::text(value)]);
                Ok(Reply::Array(both.collect()))
            }
            ("hset", [key, pairs @ ..]) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
                let now = self.now;
                self.database.hash(key, now)?;
                let fields = self.data().hash_mut(key, now)?;
                let mut new = 0;
                for pair in pairs.chunks(2) {
                    match fields.iter_mut().find(|(name, _)| *name == pair[0]) {
                        Some((_, value)) => value.clone_from(&pair[1]),
                        None => {
                            fields.push((pair[0].clone(), pair[1].clone()));
                            new += 1;
                        }
                    }
                }
                Ok(Reply::Int(new))
            }
            ("hdel", [key, names @ ..]) => {
                let now = self.now;
                if self.database.hash(key, now)?.is_empty() {
                    return Ok(Reply::Int(0));
                }
                let fields = self.data().hash_mut(key, now)?;
                let before = fields.len();
                fields.retain(|(name, _)| !names.contains(name));
                let (left, gone) = (fields.len(), before - fields.len());
                if left == 0 {
                    self.data().remove(key, now);
                }
                Ok(Reply::count(gone))
            }
            ("lindex", [key, index]) => {
                let index = number::<usize>(index)?;
                let found = self.database.list(key, self.now)?.and_then(|list| list.get(index));
                Ok(found.map_or(Reply::Nil, Reply::text))
            }
            ("rpush", [key, values @ ..]) => {
                let now = self.now;
                self.database.list(key, now)?;
                let list = self.data().list_mut(key, now)?;
                list.extend(values.iter().cloned());
                Ok(Reply::count(list.len()))
            }
            ("lpop", [key]) => {
                let now = self.now;
                if self.database.list(key, now)?.is_none() {
                    return Ok(Reply::Nil);
                }
                let list = self.data().list_mut(key, now)?;
                let popped = list.pop_front();
                if list.is_empty() {
                    self.data().remove(key, now);
                }
                Ok(popped.map_or(Reply::Nil, Reply::Text))
            }
            // What a key takes up is of no interest here, as long as it grows with it.
            ("memory", [_, key, ..]) => Ok(match self.database.stream(key, self.now)? {
                Some(stream) => Reply::count(100 * (1 + stream.len())),
                None => Reply::Nil,
            }),
            _ if name.starts_with('x') => self.stream_command(name, words),
            _ => Err(Reply::error(format!("ERR unknown command '{name}', or its arguments"))),
        }
    }

    /// What is kept, to be changed.
    fn data(&mut self) -> &mut Database {
        Arc::make_mut(&mut self.database)
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.database.get(key, self.now).is_some()
    }

    fn kind(&self, key: &[u8]) -> CommandResult {
        let kind = match self.database.get(key, self.now) {
            None => "none",
            Some(Stored::Text(_)) => "string",
            Some(Stored::Hash(_)) => "hash",
            Some(Stored::List(_)) => "list",
            Some(Stored::Stream(_)) => "stream",
        };
        Ok(Reply::Status(kind.to_owned()))
    }

    fn field(&self, key: &[u8], field: &[u8]) -> CommandResult {
        let fields = self.database.hash(key, self.now)?;
        let found = fields.iter().find(|(name, _)| name == field);
        Ok(found.map_or(Reply::Nil, |(_, value)| Reply::text(value)))
    }

    fn set(&mut self, key: &[u8], value: &[u8], options: &[Vec<u8>]) -> CommandResult {
        let mut ends = None;
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match &option.to_ascii_lowercase()[..] {
                b"px" => {
                    let millis = options.next().map(|millis| number::<u64>(millis));
                    ends = Some(self.now + millis.unwrap_or_else(|| Err(syntax()))?);
                }
                b"keepttl" => ends = self.database.ends(key).filter(|_| self.exists(key)),
                _ => return Err(syntax()),
            }
        }
        self.data().set(key, Stored::Text(value.to_vec()), ends);
        Ok(Reply::ok())
    }
}

fn syntax() -> Reply {
    Reply::error("ERR syntax error")
}

/// A number in a command.
fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, Reply> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))
}
