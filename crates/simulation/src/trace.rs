//! A trace: everything that happened and that sockets took, as a number; and as text for those who look
//! for a cause.

use std::hash::{DefaultHasher, Hasher as _};

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// One that keeps the text, too.
    pub fn with_text() -> Self {
        Self { hasher: DefaultHasher::new(), lines: Some(Vec::new()) }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let line = line();
            self.hasher.write(line.as_bytes());
            lines.push(line);
        }
    }

    pub(crate) fn take(&mut self, client: usize, bytes: &[u8]) {
        self.hasher.write_usize(client);
        self.hasher.write(bytes);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("  client {client} took {:?}", String::from_utf8_lossy(bytes)));
        }
    }

    /// The number: two histories that differ have another, but for a chance of one in 2^64.
    pub fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// The text, if it was kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
