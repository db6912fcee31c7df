//! What an event says of itself, so that whoever hears it can tell which it is and whether a byte
//! of it is missing.

use crate::topic::{KINDS, TOPICS};

/// Which event of which publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName {
    /// The publisher.
    pub publisher: u32,
    /// Counted from 1.
    pub n: u32,
}

/// An event as it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    /// Which it is.
    pub name: EventName,
    /// Its topic's number.
    pub topic: usize,
    /// Its type's number.
    pub kind: usize,
}

/// What could be spoilt on the way: a bare LF stays, and a receiver must not see another field.
const FILLERS: [&str; 6] = [
    "",
    " leads and trails ",
    "\ndata: no\nid: 1-1\nevent: no\n",
    ":\n\n: retry: 1",
    "grüße \u{2028} 🎺 \"quoted\" \\ ",
    "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnop",
];

impl Meant {
    /// Its message.
    pub fn message(self) -> String {
        let Self { name: EventName { publisher, n }, topic, kind } = self;
        format!("{publisher} {n} {topic} {kind} {}", filler(self.name))
    }

    /// Reads a message; `None` if it is not exactly one that was meant.
    pub fn read(message: &str) -> Option<Self> {
        let mut words = message.splitn(5, ' ');
        let mut number = || words.next()?.parse().ok();
        let (publisher, n, topic, kind) = (number()?, number()?, number()?, number()?);
        let name = EventName { publisher, n };
        let meant = Self { name, topic: topic as usize, kind: kind as usize };
        let known = meant.topic < TOPICS && meant.kind < KINDS.len();
        (known && words.next()? == filler(name)).then_some(meant)
    }
}

fn filler(name: EventName) -> &'static str {
    FILLERS[(name.publisher as usize * 7 + name.n as usize) % FILLERS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_lost_a_byte_is_not_read() {
        for n in 1..7 {
            let meant = Meant { name: EventName { publisher: 0, n }, topic: 3, kind: 1 };
            let message = meant.message();
            assert_eq!(Meant::read(&message), Some(meant));
            assert_eq!(Meant::read(&format!("{message}x")), None);
            assert_eq!(Meant::read(&format!(" {message}")), None);
        }
    }
}
