//! An entry of the stream: how an event is written there, and read back.
//!
//! | field | holds |
//! |---|---|
//! | `a` | when it was published, in milliseconds since 1970 |
//! | `t` | its topic |
//! | `m` | its message |
//! | `e` | its event type; left out if it has none, but empty if it has none and `x` follows |
//! | `x` | its extras, if it has any (the lines below) |
//! | `parent` | where the epoch before ended: only in the marker that begins an epoch, which has `a` too |
//! | `lossy` | beside `parent`: 1 if something was lost behind that end, else 0 |
//!
//! The lines of `x`:
//!
//! 1. `p` if the event is private, followed by its `retry:` in milliseconds, if it has one
//! 2. the id that its publisher chose, or nothing
//! 3. each further topic, on a line of its own
//!
//! What must hold: an entry with a field that this version does not know is [`StreamEntry::Foreign`], which is a gap
//! to subscribers: no version passes on a private event that it takes for a public one. The fields of an event keep
//! this order, for Redis stores the names of fields once for a block of entries that have the same.

use std::sync::Arc;

use fanfare_event::{Draft, Event, EventId, EventType, Extras, Position, Timestamp, Topic};
use redis::Value;

/// What stands at a position of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEntry {
    Event(Arc<Event>),
    /// The beginning of an epoch, at its `seq` 0.
    Marker(Position),
    /// Something this version cannot read. Never passed over in silence.
    Foreign(Position),
}

impl StreamEntry {
    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Event(event) => event.position,
            Self::Marker(position) | Self::Foreign(position) => *position,
        }
    }

    /// About how many bytes it takes on its way.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Event(event) => event.weight(),
            Self::Marker(_) | Self::Foreign(_) => 64,
        }
    }

    /// Up to where nothing stands before this entry, as far as its own epoch goes.
    pub(crate) fn before(&self) -> Position {
        let at = self.position();
        Position::new(at.epoch, at.seq.saturating_sub(1))
    }

    /// The entries of an answer to `XRANGE`; `None` if it is not such an answer.
    pub(crate) fn parse_all(answer: Value) -> Option<Vec<Self>> {
        let Value::Array(entries) = answer else { return None };
        entries.into_iter().map(Self::parse).collect()
    }

    fn parse(entry: Value) -> Option<Self> {
        let Value::Array(parts) = entry else { return None };
        let [id, fields] = <[Value; 2]>::try_from(parts).ok()?;
        let position = text(id)?.parse().ok()?;
        // Deleted entries of a pending list have no fields; ranges never return them.
        let Value::Array(fields) = fields else { return Some(Self::Foreign(position)) };
        if position.seq == 0 {
            return Some(Self::Marker(position));
        }
        let event = Self::event(position, fields);
        Some(event.map_or(Self::Foreign(position), |event| Self::Event(Arc::new(event))))
    }

    fn event(position: Position, fields: Vec<Value>) -> Option<Event> {
        let (mut at, mut topic, mut message, mut event_type) = (None, None, None, None);
        let mut extras = None;
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            let Value::BulkString(name) = name else { return None };
            let value = text(value)?;
            match &name[..] {
                b"a" => at = Some(Timestamp(value.parse().ok()?)),
                b"t" => topic = Some(Topic::parse(&value).ok()?),
                b"m" => message = Some(value.into_boxed_str()),
                b"e" if value.is_empty() => {}
                b"e" => event_type = Some(EventType::parse(&value).ok()?),
                b"x" => extras = Some(value),
                _ => return None,
            }
        }
        let topic = topic?;
        let extras = match extras {
            None => None,
            Some(text) => read_extras(&topic, &text)?,
        };
        let (published_at, message) = (at?, message?);
        Some(Event { position, topic, event_type, published_at, message, extras })
    }
}

/// The field `x` of an event; empty where it has no extras.
pub(crate) fn extras_text(draft: &Draft) -> String {
    let Some(extras) = &draft.extras else { return String::new() };
    let private = if extras.is_private() { "p" } else { "" };
    // None of these texts holds a line end.
    let retry = extras.retry().map_or_else(String::new, |retry| retry.to_string());
    let mut text = format!("{private}{retry}\n{}", extras.id().map_or("", EventId::as_str));
    for topic in extras.others() {
        text.push('\n');
        text.push_str(topic.as_str());
    }
    text
}

fn read_extras(topic: &Topic, text: &str) -> Option<Option<Box<Extras>>> {
    let mut lines = text.split('\n');
    let first = lines.next()?;
    let (private, retry) = match first.strip_prefix('p') {
        Some(retry) => (true, retry),
        None => (false, first),
    };
    let retry = match retry {
        "" => None,
        digits => Some(digits.parse().ok()?),
    };
    let id = match lines.next()? {
        "" => None,
        id => EventId::read_back(id).ok()?,
    };
    let others = lines.map(|name| Topic::parse(name).ok()).collect::<Option<Vec<_>>>()?;
    let extras = Extras::new(topic, others, private, id).ok()?;
    Some(Extras::with_retry(extras, retry))
}

/// What an answer to `XREAD` brings that is new.
#[derive(Debug, Default)]
pub(crate) struct NewEntries {
    pub(crate) entries: Vec<StreamEntry>,
    pub(crate) notices: Vec<NoticeEntry>,
}

/// A notice as it stands in its stream.
#[derive(Debug)]
pub(crate) struct NoticeEntry {
    pub(crate) id: String,
    /// What has no text is not a notice, and has an id all the same.
    pub(crate) text: Option<String>,
    /// The id of the one before it; empty where there was none.
    pub(crate) before: Option<String>,
}

impl NewEntries {
    /// Of the stream of events, by its name, and that of notices; nothing new is `Nil`.
    pub(crate) fn parse(answer: Value, events: &str) -> Option<Self> {
        let mut news = Self::default();
        let streams = match answer {
            Value::Nil => return Some(news),
            Value::Array(streams) => streams,
            _ => return None,
        };
        for stream in streams {
            let Value::Array(parts) = stream else { return None };
            let [name, entries] = <[Value; 2]>::try_from(parts).ok()?;
            if text(name)? == events {
                news.entries = StreamEntry::parse_all(entries)?;
                continue;
            }
            let Value::Array(notices) = entries else { return None };
            for notice in notices {
                let Value::Array(parts) = notice else { return None };
                let [id, fields] = <[Value; 2]>::try_from(parts).ok()?;
                let Value::Array(fields) = fields else { return None };
                let mut fields = fields.into_iter().map(text);
                let (said, before) = (fields.nth(1).flatten(), fields.nth(3).flatten());
                news.notices.push(NoticeEntry { id: text(id)?, text: said, before });
            }
        }
        Some(news)
    }
}

/// A string in an answer.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn entry(id: &str, fields: &[&str]) -> Value {
        Value::Array(vec![bulk(id), Value::Array(fields.iter().map(|f| bulk(f)).collect())])
    }

    #[test]
    fn what_is_not_an_event_is_foreign_not_dropped() {
        let at = Position::new(7, 3);
        for fields in [
            &["a", "1", "t", "x"][..],
            &["a", "1", "t", "x", "m", "y", "z", "new in a later version"],
            &["a", "soon", "t", "x", "m", "y"],
            &["a", "1", "t", "x*", "m", "y"],
            &["a", "1", "t", "x", "m", "y", "e", "fanfare.gap"],
        ] {
            assert_eq!(
                StreamEntry::parse(entry("7-3", fields)),
                Some(StreamEntry::Foreign(at)),
                "{fields:?}"
            );
        }
        let event = StreamEntry::parse(entry("7-3", &["a", "1", "t", "x", "m", "", "e", "y"]));
        assert!(matches!(event, Some(StreamEntry::Event(event)) if event.position == at));
        let with =
            |x| StreamEntry::parse(entry("7-3", &["a", "1", "t", "x", "m", "", "e", "", "x", x]));
        for bad in ["", "p", "q\n", "px\n", "1p\n", "p\n17-4", "p\n\nx*", "\n\n"] {
            assert_eq!(with(bad), Some(StreamEntry::Foreign(at)), "{bad:?}");
        }
        let topic = Topic::parse("x").unwrap();
        let id = EventId::parse("urn:1").unwrap();
        let others = ["y", "z"].map(|name| Topic::parse(name).unwrap());
        let extras = Extras::new(&topic, others, true, Some(id)).unwrap();
        let extras = Extras::with_retry(extras, Some(150));
        let draft = Draft { topic, event_type: None, message: "".into(), extras };
        assert_eq!(extras_text(&draft), "p150\nurn:1\ny\nz");
        let Some(StreamEntry::Event(event)) = with(&extras_text(&draft)) else {
            panic!("not an event")
        };
        assert_eq!((event.extras.clone(), event.event_type.clone()), (draft.extras, None));
        let older = ["a", "1", "t", "x", "m", "", "x", "p\n#17-4"];
        let Some(StreamEntry::Event(event)) = StreamEntry::parse(entry("7-3", &older)) else {
            panic!("not an event")
        };
        assert_eq!((event.id(), event.is_private()), (None, true), "as an older version wrote it");
        let marker = StreamEntry::parse(entry("8-0", &["a", "1", "parent", "7-3"]));
        assert_eq!(marker, Some(StreamEntry::Marker(Position::new(8, 0))));
        assert_eq!(StreamEntry::parse(entry("8", &[])), None);
    }
}
