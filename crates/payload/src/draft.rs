//! A draft from one JSON object.

use std::borrow::Cow;

use fanfare_event::{Draft, EventId, EventType, Extras, InvalidTopic, Topic};

use crate::fast;
use crate::fields::FIELDS;
use crate::json::{self, InvalidJson};
use crate::near_miss::near_miss;
use crate::refusal::{Detail, MAX_DETAILS, Problem};
use crate::value::{NotJson, Object, Value};

/// Why a text is not a draft.
#[derive(Debug)]
pub(crate) enum InvalidDraft {
    /// It breaks the rules of JSON or of the fields: all that is wrong, in the fields' order.
    Invalid(Vec<Detail>),
    /// Python's decoder gives up on it without saying where.
    Unreadable,
    /// The message has this many bytes, more than are allowed.
    MessageTooLong(usize),
    /// It holds more values than are read.
    TooManyValues,
}

/// Reads one object.
pub(crate) fn read_draft(text: &str, message_bytes: usize) -> Result<Draft, InvalidDraft> {
    let draft = match fast::read(text) {
        Some(draft) => draft,
        None => read_slowly(text)?,
    };
    match draft.message.len() {
        bytes if bytes > message_bytes => Err(InvalidDraft::MessageTooLong(bytes)),
        _ => Ok(draft),
    }
}

/// Reads one object by Python's rules and finds the words for what is wrong with it.
pub(crate) fn read_slowly(text: &str) -> Result<Draft, InvalidDraft> {
    let value = match json::parse(text) {
        Ok(value) => value,
        Err(InvalidJson::Syntax { error, offset }) => {
            return Err(InvalidDraft::Invalid(vec![Detail::of_syntax(error, offset)]));
        }
        Err(InvalidJson::TooDeep | InvalidJson::IntegerTooLong) => {
            return Err(InvalidDraft::Unreadable);
        }
        Err(InvalidJson::TooManyValues) => return Err(InvalidDraft::TooManyValues),
    };
    match &value {
        Value::Object(object) => check(&value, object),
        other => Err(InvalidDraft::Invalid(vec![Detail::of_body(Problem::NotAnObject, other)])),
    }
}

/// Checks the fields of `object`, which is `whole`.
fn check(whole: &Value, object: &Object) -> Result<Draft, InvalidDraft> {
    let mut wrong = Vec::new();
    let message = match (object.get("message"), object.get("json")) {
        (None, None) => Err(Detail::of_field("message", Problem::Missing, whole)),
        (Some(value), None) => string("message", value).map(Cow::Borrowed),
        (None, Some(value)) => written(value).map(Cow::Owned),
        (Some(_), Some(value)) => {
            let rule = "a publish has a message or json, not both".to_owned();
            Err(Detail::of_field("json", Problem::Rule(rule), value))
        }
    };
    let topic = optional("topic", object, Topic::given);
    let topics = topics(object);
    let event_type = optional("event", object, EventType::given);
    let private = private(object);
    let id = optional("id", object, EventId::parse);
    let mut keep = |detail| wrong.push(detail);
    let message = message.map_err(&mut keep);
    let topic = topic.map_err(&mut keep);
    let topics = topics.map_err(|details| details.into_iter().for_each(&mut keep));
    let event_type = event_type.map_err(&mut keep);
    let private = private.map_err(&mut keep);
    let id = id.map_err(&mut keep);
    near_misses(object).for_each(keep);
    if !wrong.is_empty() {
        return Err(InvalidDraft::Invalid(wrong));
    }
    let (Ok(message), Ok(topic), Ok(topics), Ok(event_type), Ok(private), Ok(id)) =
        (message, topic, topics, event_type, private, id)
    else {
        return Err(InvalidDraft::Invalid(wrong));
    };
    let of_topics = |rule: &str| {
        let given = object.get("topics").unwrap_or(&Value::Null);
        InvalidDraft::Invalid(vec![Detail::of_field(
            "topics",
            Problem::Rule(rule.to_owned()),
            given,
        )])
    };
    let mut topics = topics.map(Vec::into_iter);
    let first = topics.as_mut().map(Iterator::next);
    let topic = match (topic, first) {
        (Some(_), Some(_)) => return Err(of_topics("give `topic` or `topics`, not both")),
        (None, Some(None)) => return Err(of_topics("name at least one topic")),
        (None, Some(Some(first))) => first,
        (topic, None) => topic.unwrap_or_default(),
    };
    let others = topics.into_iter().flatten();
    let extras = Extras::new(&topic, others, private, id).map_err(|e| of_topics(&e.to_string()))?;
    Ok(Draft { topic, event_type, message: message.into(), extras })
}

/// The topics of an event that may have several: a list, in which nothing may be left out.
fn topics(object: &Object) -> Result<Option<Vec<Topic>>, Vec<Detail>> {
    const FIELD: &str = "topics";
    let items = match object.get(FIELD) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(vec![Detail::of_field(FIELD, Problem::NotAList, other)]),
    };
    let (mut topics, mut wrong) = (Vec::new(), Vec::new());
    for (place, item) in items.iter().enumerate() {
        let topic = string(FIELD, item).and_then(|text| {
            let problem = |error: InvalidTopic| Problem::Rule(error.to_string());
            Topic::given(text).map_err(|error| Detail::of_field(FIELD, problem(error), item))
        });
        match topic {
            Ok(topic) => topics.push(topic),
            Err(detail) => wrong.push(detail.of_item(place)),
        }
        if wrong.len() > MAX_DETAILS {
            break;
        }
    }
    if wrong.is_empty() { Ok(Some(topics)) } else { Err(wrong) }
}

fn private(object: &Object) -> Result<bool, Detail> {
    match object.get("private") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(private)) => Ok(*private),
        Some(other) => Err(Detail::of_field("private", Problem::NotABoolean, other)),
    }
}

/// Fields that are not known and look like one that is: ignoring `topci` would publish to another
/// topic than was meant.
fn near_misses(object: &Object) -> impl Iterator<Item = Detail> {
    object.members().filter_map(|(name, value)| {
        let meant = near_miss(name, &FIELDS)?;
        Some(Detail::of_field(name.to_owned(), Problem::NearMiss(meant), value))
    })
}

/// The text of the field `json`: what stood there, without its spaces.
fn written(value: &Value) -> Result<String, Detail> {
    value.to_json().map_err(|error| {
        let problem = match error {
            NotJson::NotFinite => Problem::Rule("JSON has no NaN and no Infinity".to_owned()),
            NotJson::NotUnicode => Problem::NotUnicode,
        };
        Detail::of_field("json", problem, value)
    })
}

fn string<'a>(field: &'static str, value: &'a Value) -> Result<&'a str, Detail> {
    let problem = match value {
        Value::Text(text) => match text.as_unicode() {
            Some(text) => return Ok(text),
            None => Problem::NotUnicode,
        },
        _ => Problem::NotAString,
    };
    Err(Detail::of_field(field, problem, value))
}

/// A field that may be left out or null.
fn optional<T, E: ToString>(
    field: &'static str,
    object: &Object,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Detail> {
    let value = match object.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    parse(string(field, value)?)
        .map(Some)
        .map_err(|error| Detail::of_field(field, Problem::Rule(error.to_string()), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The fast path's answer, once it has been held against the slow one's.
    fn agreed(text: &str) -> Option<Draft> {
        let fast = fast::read(text);
        if let Some(draft) = &fast {
            assert_eq!(read_slowly(text).ok().as_ref(), Some(draft), "{text}");
        }
        fast
    }

    #[test]
    fn the_fast_path_leaves_alone_what_it_would_read_otherwise() {
        for text in [
            r#"["x",null,null]"#,
            r#"{"message":"x","message":"y"}"#,
            r#"{"message":"x","topic":null,"topic":"a"}"#,
            r#"{"message":"x","other":"\ud800"}"#,
            r#"{"message":"x","other":NaN}"#,
            r#"{"message":"x","topic":"*"}"#,
            r#"{"message":"x","topci":"a"}"#,
            r#"{"message":"x","Event":null}"#,
            r#"{"json":1}"#,
            r#"{"json":1,"message":"x"}"#,
            r#"{"message":"x","topics":[]}"#,
            r#"{"message":"x","topics":["a",null]}"#,
            r#"{"message":"x","topics":["a"],"topic":"b"}"#,
            r#"{"message":"x","private":1}"#,
            r#"{"message":"x","id":"1-2"}"#,
        ] {
            assert_eq!(agreed(text), None, "{text}");
        }
        let digits = "1".repeat(json::MAX_INTEGER_DIGITS + 1);
        assert_eq!(agreed(&format!(r#"{{"message":"x","other":{digits}}}"#)), None);
        let deep = "[".repeat(json::MAX_DEPTH) + &"]".repeat(json::MAX_DEPTH);
        assert_eq!(agreed(&format!(r#"{{"message":"x","other":{deep}}}"#)), None);
    }

    #[test]
    fn no_object_takes_many_times_the_memory_that_was_sent() {
        let refused =
            |text: &str| matches!(read_draft(text, usize::MAX), Err(InvalidDraft::TooManyValues));
        let list = |item: &str, count: usize| vec![item; count].join(",");
        let zeros = |count| format!(r#"{{"json":[{}]}}"#, list("0", count));
        // The object and the list are values too.
        assert!(read_draft(&zeros(json::MAX_VALUES - 2), usize::MAX).is_ok());
        assert!(refused(&zeros(json::MAX_VALUES - 1)));
        assert!(refused(&format!(
            r#"{{"message":"","topics":[{}]}}"#,
            list(r#""a""#, json::MAX_VALUES)
        )));
        let names = |count: usize| (0..count).map(|n| format!(r#","{n}":0"#)).collect::<String>();
        assert!(refused(&format!(r#"{{"message":""{}}}"#, names(json::MAX_VALUES))));
        assert!(read_draft(&format!(r#"{{"message":""{}}}"#, names(2_000)), 10).is_ok());
    }

    #[test]
    fn the_fast_path_takes_what_publishers_send() {
        for text in [
            r#"{"message":"x"}"#,
            r#" {"topic":"caf\u00e9","message":"\ud83d\ude00\n","event":null,"n":[1,{"a":2.5}]} "#,
            r#"{"mess\u0061ge":"x","event":"tick"}"#,
            r#"{"message":"x","topics":["a","b/1","a"],"private":true,"id":"urn:1"}"#,
            r#"{"message":"x","topic":"a","topics":null,"private":null,"id":null}"#,
        ] {
            assert!(agreed(text).is_some(), "{text}");
        }
    }

    /// Objects that are right about as often as not: fields twice, values of every kind, and now
    /// and then a stray token.
    fn bodies() -> impl Strategy<Value = String> {
        use proptest::option::weighted;
        use proptest::sample::{Index, select};

        let name = select(vec![
            r#""message""#,
            r#""topic""#,
            r#""event""#,
            r#""json""#,
            r#""topci""#,
            r#""topics""#,
            r#""private""#,
            r#""id""#,
            r#""mess\u0061ge""#,
            r#""a""#,
            r#""\u0061""#,
            r#""\udc00""#,
            r#""\t""#,
        ]);
        let value = select(vec![
            r#""x""#,
            r#""x""#,
            r#""""#,
            r#""\ud83d\ude00""#,
            r#""\ud800""#,
            r#""a*""#,
            "null",
            "null",
            "true",
            "1",
            "-0",
            "1e999",
            "-1.5E+3",
            "NaN",
            "[]",
            r#"[1,{"b":"c"}]"#,
            r#"["a","b"]"#,
            r#"["a",""]"#,
            r#""1-2""#,
            "{}",
        ]);
        let stray = select(vec![
            ",", " ", "\n", "\u{c}", "[", "]", "{", "}", ":", "\"", "\\", "0", ".", "-", "é",
            "\u{1}", "\u{7f}", "\u{feff}",
        ]);
        let members = proptest::collection::vec((name, value), 0..4);
        (members, weighted(0.3, (any::<Index>(), stray))).prop_map(|(members, stray)| {
            let mut text = String::from(r#"{"message":"é""#);
            for (name, value) in members {
                text.extend([",", name, " :", value]);
            }
            text.push('}');
            if let Some((index, stray)) = stray {
                let places: Vec<_> = text.char_indices().map(|(place, _)| place).collect();
                text.insert_str(*index.get(&places), stray);
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn the_fast_path_never_disagrees(text in bodies()) {
            agreed(&text);
        }

        #[test]
        fn what_serde_json_accepts_python_accepts(text in bodies()) {
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(json::parse(&text).is_ok());
            }
        }
    }
}
