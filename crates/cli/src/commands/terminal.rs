//! Standard output for results, standard error for notices.

use std::fmt;
use std::io::{self, IsTerminal as _, StdoutLock, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use fanfare_event::{is_harmful, printable};

use super::CommandError;

/// How much output is held back at most, in bytes.
const BUFFER: usize = 64 * 1024;

/// Standard output, buffered until [`Output::flush`].
#[derive(Debug)]
pub(super) struct Output {
    stdout: StdoutLock<'static>,
    buffer: Vec<u8>,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { stdout: io::stdout().lock(), buffer: Vec::new() }
    }

    /// Lets `fill` append bytes.
    pub(super) fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), CommandError> {
        fill(&mut self.buffer);
        if self.buffer.len() > BUFFER { self.flush() } else { Ok(()) }
    }

    /// Appends a line.
    pub(super) fn line(&mut self, line: impl fmt::Display) -> Result<(), CommandError> {
        self.write(|buffer| {
            // Writing to a vector cannot fail.
            let _ = writeln!(buffer, "{line}");
        })
    }

    /// Writes out what was held back.
    pub(super) fn flush(&mut self) -> Result<(), CommandError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.stdout.write_all(&self.buffer).and_then(|()| self.stdout.flush());
        self.buffer.clear();
        written.map_err(CommandError::Output)
    }
}

impl Drop for Output {
    /// Whatever ends a command early, what it has received is not held back. Why it ended is said
    /// elsewhere; that this failed too would add nothing.
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Whether a person reads standard output.
pub(super) fn output_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output is to be coloured: on a terminal, unless `NO_COLOR` and the like say
/// otherwise.
pub(super) fn output_has_colour() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Says on standard error what may interest.
pub(super) fn note(text: impl fmt::Display) {
    say(AnsiColor::Cyan.on_default(), "note", text);
}

/// The same, where a person reads standard error: to a script, silence means that all is well.
pub(super) fn note_to_a_person(text: impl fmt::Display) {
    if io::stderr().is_terminal() {
        note(text);
    }
}

/// Says on standard error what is likely to matter.
pub(super) fn warn(text: impl fmt::Display) {
    say(AnsiColor::Yellow.on_default().bold(), "warning", text);
}

fn say(style: Style, word: &str, text: impl fmt::Display) {
    let text = printable(&text.to_string());
    // Nobody need be listening.
    let _ = writeln!(anstream::stderr(), "{style}{word}:{style:#} {text}");
}

/// Makes the same visible as [`printable`] in a text in JSON, which means afterwards what it meant before.
pub(super) fn printable_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            // Outside of strings there are no such characters (RFC 8259, 2).
            for unit in c.encode_utf16(&mut [0; 2]) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            plain.push(c);
        }
    }
    plain
}
