//! Scripts: run by a real Lua, of the version that Redis has, with what Redis gives them.
//!
//! What must hold: a script keeps nothing from one call to the next. So there is one Lua for each thread, and
//! each script is compiled once.

use std::cell::RefCell;
use std::collections::HashMap;

use mlua::{Function, Lua, MultiValue, Table, Value};

use crate::commands::Execution;
use crate::reply::Reply;

/// What Redis puts into a script's way. `invoke` says whether a command failed, and what it answered.
const PRELUDE: &str = r#"
local invoke = ...
redis = {}
function redis.call(...)
  local failed, answer = invoke(...)
  if failed then error(answer, 0) end
  return answer
end
function redis.pcall(...)
  local _, answer = invoke(...)
  return answer
end
function redis.error_reply(words)
  if words:sub(1, 1) == '-' then words = words:sub(2) end
  if not words:find(' ') then words = 'ERR ' .. words end
  return {err = words}
end
function redis.status_reply(words)
  return {ok = words}
end
return function(script, keys, arguments)
  KEYS, ARGV = keys, arguments
  local done, answer = pcall(script)
  if done or type(answer) == 'table' then return answer end
  return {err = 'ERR ' .. tostring(answer)}
end
"#;

thread_local! {
    static INTERPRETER: RefCell<Option<Interpreter>> = const { RefCell::new(None) };
    /// On what the script that runs now works.
    static RUNNING: RefCell<Option<Execution>> = const { RefCell::new(None) };
}

struct Interpreter {
    lua: Lua,
    run: Function,
    scripts: HashMap<String, Function>,
}

/// Runs a script to its end.
pub(crate) fn run(
    text: &str,
    keys: &[Vec<u8>],
    arguments: &[Vec<u8>],
    execution: Execution,
) -> (Reply, Execution) {
    RUNNING.with(|running| *running.borrow_mut() = Some(execution));
    let answer = INTERPRETER.with(|interpreter| {
        let mut interpreter = interpreter.borrow_mut();
        if interpreter.is_none() {
            *interpreter = Some(Interpreter::new()?);
        }
        interpreter.as_mut().map_or(Ok(Reply::Nil), |it| it.run(text, keys, arguments))
    });
    let execution = RUNNING.with(|running| running.borrow_mut().take());
    let execution = execution.expect("nothing takes it away from a script");
    (answer.unwrap_or_else(|error| Reply::error(format!("ERR {error}"))), execution)
}

impl Interpreter {
    fn new() -> mlua::Result<Self> {
        let lua = Lua::new();
        let invoke = lua.create_function(|lua, words: MultiValue| {
            let words: Option<Vec<_>> = words.iter().map(word).collect();
            let reply = match words {
                Some(words) => RUNNING.with(|running| {
                    let mut running = running.borrow_mut();
                    running.as_mut().map_or(Reply::Nil, |execution| execution.call(&words))
                }),
                None => {
                    Reply::error("ERR Lua redis lib command arguments must be strings or integers")
                }
            };
            Ok((matches!(reply, Reply::Error(_)), given(lua, &reply)?))
        })?;
        let run = lua.load(PRELUDE).set_name("prelude").call(invoke)?;
        Ok(Self { lua, run, scripts: HashMap::new() })
    }

    fn run(&mut self, text: &str, keys: &[Vec<u8>], arguments: &[Vec<u8>]) -> mlua::Result<Reply> {
        let list = |words: &[Vec<u8>]| {
            self.lua.create_sequence_from(
                words
                    .iter()
                    .map(|word| self.lua.create_string(word))
                    .collect::<Result<Vec<_>, _>>()?,
            )
        };
        let (keys, arguments) = (list(keys)?, list(arguments)?);
        let script = match self.scripts.get(text) {
            Some(script) => script.clone(),
            None => {
                // The line that says what it may do is no Lua.
                let code = text.split_once('\n').filter(|(first, _)| first.starts_with("#!"));
                let code = code.map_or(text, |(_, code)| code);
                let script = self.lua.load(code).set_name("user_script").into_function()?;
                self.scripts.insert(text.to_owned(), script.clone());
                script
            }
        };
        returned(&self.run.call((script, keys, arguments))?)
    }
}

/// A word of a command.
fn word(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// An answer, as a script is given it.
fn given(lua: &Lua, reply: &Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        Reply::Int(number) => Value::Number(*number as f64),
        Reply::Text(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::Status(words) => Value::Table(lua.create_table_from([("ok", words.as_str())])?),
        Reply::Error(words) => Value::Table(lua.create_table_from([("err", words.as_str())])?),
        Reply::Array(replies) => {
            let items = replies.iter().map(|reply| given(lua, reply));
            let items = items.collect::<mlua::Result<Vec<_>>>()?;
            Value::Table(lua.create_sequence_from(items)?)
        }
    })
}

/// What a script returned, as a client is answered.
fn returned(value: &Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::text(text.as_bytes()),
        Value::Integer(number) => Reply::Int(*number),
        // Without its fraction, as Redis does.
        Value::Number(number) => Reply::Int(*number as i64),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(table) => returned_table(table)?,
        _ => Reply::Nil,
    })
}

fn returned_table(table: &Table) -> mlua::Result<Reply> {
    if let Some(words) = table.raw_get::<Option<String>>("err")? {
        return Ok(Reply::Error(words));
    }
    if let Some(words) = table.raw_get::<Option<String>>("ok")? {
        return Ok(Reply::Status(words));
    }
    let mut replies = Vec::new();
    for at in 1.. {
        match table.raw_get::<Value>(at)? {
            Value::Nil => break,
            value => replies.push(returned(&value)?),
        }
    }
    Ok(Reply::Array(replies))
}
