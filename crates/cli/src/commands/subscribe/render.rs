//! How an event is printed.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use fanfare_client::{ReceivedEvent, SubscribeOptions};
use fanfare_event::printable;
use serde_json::json;

use crate::commands::terminal::{output_has_colour, output_is_terminal, printable_json};

/// How an event is printed: as JSON, or as its data with what the command line has not said
/// before it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Json {
        /// Whether what could drive a terminal is escaped.
        harmless: bool,
    },
    Text(TextForm),
}

/// What a line of text shows beside the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextForm {
    topic: bool,
    event_type: bool,
    colour: bool,
    /// Whether control characters in the data are made visible.
    harmless: bool,
}

const TOPIC: Style = AnsiColor::Cyan.on_default();
const EVENT_TYPE: Style = AnsiColor::Yellow.on_default();

impl Form {
    /// The form for events of `subscription`.
    pub(super) fn new(json: bool, subscription: &SubscribeOptions) -> Self {
        if json {
            return Self::Json { harmless: output_is_terminal() };
        }
        Self::Text(TextForm {
            topic: subscription.has_several_topics(),
            event_type: !subscription.has_one_type(),
            colour: output_has_colour(),
            harmless: output_is_terminal(),
        })
    }

    /// Appends the event's line or lines.
    pub(super) fn render(self, event: &ReceivedEvent, out: &mut Vec<u8>) {
        match self {
            Self::Json { harmless } => {
                let ReceivedEvent { id, event, topic, published_at, data } = event;
                let object = json!({
                    "id": id, "event": event, "topic": topic, "published_at": published_at, "data": data,
                });
                let object = object.to_string();
                let object = if harmless { printable_json(&object) } else { object };
                out.extend_from_slice(object.as_bytes());
                out.push(b'\n');
            }
            Self::Text(text) => text.render(event, out),
        }
    }
}

impl TextForm {
    fn render(self, event: &ReceivedEvent, out: &mut Vec<u8>) {
        for line in event.data.split('\n') {
            if self.topic {
                self.label(TOPIC, &event.topic, out);
            }
            if let Some(event_type) = event.event.as_deref().filter(|_| self.event_type) {
                self.label(EVENT_TYPE, event_type, out);
            }
            self.plain(line, out);
            out.push(b'\n');
        }
    }

    fn label(self, style: Style, label: &str, out: &mut Vec<u8>) {
        let style = if self.colour { style } else { Style::new() };
        let _ = write!(out, "{style}");
        self.plain(label, out);
        let _ = write!(out, "{style:#} ");
    }

    fn plain(self, text: &str, out: &mut Vec<u8>) {
        if self.harmless {
            out.extend_from_slice(printable(text).as_bytes());
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(form: Form, data: &str) -> String {
        let event = ReceivedEvent {
            id: "1-2".into(),
            event: Some("alert".into()),
            topic: "a/b".into(),
            published_at: Some("2026-01-01T00:00:00.000Z".into()),
            data: data.into(),
        };
        let mut out = Vec::new();
        form.render(&event, &mut out);
        String::from_utf8(out).unwrap()
    }

    const BARE: TextForm =
        TextForm { topic: false, event_type: false, colour: false, harmless: false };

    #[test]
    fn scripts_get_the_bytes_that_were_published() {
        assert_eq!(rendered(Form::Text(BARE), " \u{1b}[1m\tx "), " \u{1b}[1m\tx \n");
        assert_eq!(
            rendered(Form::Json { harmless: false }, "a\nb"),
            "{\"id\":\"1-2\",\"event\":\"alert\",\"topic\":\"a/b\",\
             \"published_at\":\"2026-01-01T00:00:00.000Z\",\"data\":\"a\\nb\"}\n"
        );
    }

    #[test]
    fn a_second_line_never_passes_for_an_event_of_its_own_topic() {
        let text = TextForm { topic: true, event_type: true, ..BARE };
        assert_eq!(rendered(Form::Text(text), "x\ny"), "a/b alert x\na/b alert y\n");
    }

    #[test]
    fn a_message_in_json_keeps_its_value_and_never_drives_the_terminal() {
        let data = "\u{9b}2J\u{1b}[1m\u{7f}\u{202e}evil\u{2066}\u{200b}\u{e0041}caf\u{e9}\n";
        let shown = rendered(Form::Json { harmless: true }, data);
        let lone = shown.trim_end_matches('\n');
        assert!(!lone.chars().any(|c| c.is_control() || fanfare_event::is_deceptive(c)), "{lone}");
        assert!(
            lone.contains(r"\u009b2J\u001b[1m\u007f\u202eevil") && lone.contains("café"),
            "{lone}"
        );
        let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(back["data"], data);
    }

    #[test]
    fn a_message_never_turns_the_line_it_stands_in() {
        let text = TextForm { harmless: true, ..BARE };
        assert_eq!(rendered(Form::Text(text), "a\u{202e}b"), "a\\u{202e}b\n");
    }

    #[test]
    fn a_message_never_drives_the_terminal() {
        let text = TextForm { colour: true, event_type: true, harmless: true, ..BARE };
        let shown = rendered(Form::Text(text), "\u{1b}]0;title\u{7}\r\u{9b}x");
        assert_eq!(shown, "\u{1b}[33malert\u{1b}[0m \\u{1b}]0;title\\u{7}\\r\\u{9b}x\n");
    }
}
