//! An event of the little hub as bytes.

use super::hub::{FlawedHub, Record};

/// The lines of a message.
fn lines(hub: &FlawedHub, message: &str) -> Vec<String> {
    let owned = |text: &str| text.to_owned();
    match () {
        () if hub.has("splits-nothing") => vec![owned(message)],
        () if hub.has("splits-at-lf-only") => message.split('\n').map(owned).collect(),
        () if hub.has("splits-twice-at-crlf") => message.split(['\r', '\n']).map(owned).collect(),
        () if hub.has("splits-at-unicode") => {
            message.split(['\n', '\u{2028}', '\u{2029}', '\u{85}']).map(owned).collect()
        }
        () if hub.has("splits-at-separators") => message
            .split(['\n', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}'])
            .map(owned)
            .collect(),
        () if hub.has("forgets-the-last-line-break") => message.lines().map(owned).collect(),
        () if hub.has("skips-blank-lines") => {
            message.split('\n').filter(|line| !line.is_empty()).map(owned).collect()
        }
        () => message.replace("\r\n", "\n").split(['\r', '\n']).map(owned).collect(),
    }
}

fn changed(hub: &FlawedHub, message: &str) -> String {
    let first = |length: usize| message.chars().take(length).collect::<String>();
    match () {
        () if hub.has("escapes-for-html") => message.replace('<', "&lt;"),
        () if hub.has("knows-ascii-only") => message.replace(|c: char| !c.is_ascii(), "?"),
        () if hub.has("stops-at-nul") => message.split('\0').next().unwrap_or_default().to_owned(),
        () if hub.has("drops-controls") => {
            message.replace(|c: char| c.is_control() && c != '\n', "")
        }
        () if hub.has("drops-marks") => message.replace('\u{feff}', ""),
        () if hub.has("cuts-at-60000") => first(60_000),
        () if hub.has("cuts-at-20000") => first(20_000),
        () => message.to_owned(),
    }
}

pub(crate) fn encode(hub: &FlawedHub, number: usize, record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    if !(hub.has("forgets-some-ids") && number.is_multiple_of(2)) {
        out.extend(format!("id: {}\n", hub.id(number)).bytes());
    }
    let kind = record.kind.as_deref().filter(|_| !hub.has("knows-no-types"));
    let kind = kind.or(hub.has("types-everything").then_some("update"));
    if let Some(kind) = kind {
        out.extend(format!("event: {kind}\n").bytes());
    }
    if hub.has("adds-a-field") {
        out.extend(b"time: 1\n");
    }
    let Ok(message) = std::str::from_utf8(&record.message) else {
        return [out.as_slice(), b"data: ", &record.message, b"\n\n"].concat();
    };
    if message.is_empty() && hub.has("sends-no-empty-data") {
        out.push(b'\n');
        return out;
    }
    for line in lines(hub, &changed(hub, message)) {
        let line = match () {
            () if hub.has("trims-ends") => line.trim_end_matches(' '),
            () if hub.has("trims-tabs") => line.trim_matches('\t'),
            () => &line,
        };
        let name = match () {
            () if line.starts_with(':') && hub.has("takes-colons-for-comments") => "",
            () if line.starts_with("data") && hub.has("takes-text-for-fields") => "",
            () if hub.has("saves-the-space") => "data:",
            () => "data: ",
        };
        out.extend(format!("{name}{line}\n").bytes());
    }
    out.push(b'\n');
    out
}
