//! HTTP/2 by hand, so that exact frames can be sent and seen.

use super::{Connection, Hub};

/// The types of frames that are spoken of here (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_OF_STREAM_AND_HEADERS: u8 = 5;
const CANCEL: u8 = 8;
const ENHANCE_YOUR_CALM: u8 = 0xb;

/// A connection over HTTP/2.
#[derive(Debug)]
pub(crate) struct FrameConnection(Connection);

/// A frame's bytes (RFC 9113, 4.1).
pub(crate) fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    flagged(kind, 0, stream, payload)
}

/// The same, with these flags.
pub(crate) fn flagged(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

impl FrameConnection {
    /// Begins one.
    pub(crate) fn open(hub: &Hub) -> Self {
        let mut connection = hub.connect();
        connection.send(PREFACE);
        connection.send(frame(SETTINGS, 0, &[]));
        Self(connection)
    }

    /// Begins one with so many streams of a topic, of one letter, with room for everything in its windows, and
    /// never reads it.
    pub(crate) fn unread(hub: &Hub, streams: u8, topic: char) -> Self {
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        const MOST: [u8; 4] = i32::MAX.to_be_bytes();
        let mut connection = Connection::open_narrow(hub.address());
        connection.send(PREFACE);
        connection.send(frame(SETTINGS, 0, &[&INITIAL_WINDOW_SIZE[..], &MOST].concat()));
        connection.send(frame(WINDOW_UPDATE, 0, &(i32::MAX - 65_535).to_be_bytes()));
        for number in 0..streams {
            let block = format!("\x04\x13/sse/events?topic={topic}\x01\x08hub.test");
            let block = [b"\x82\x86", block.as_bytes()].concat();
            let request = flagged(HEADERS, END_OF_STREAM_AND_HEADERS, 2 * number + 1, &block);
            connection.send(request);
        }
        Self(connection)
    }

    /// Begins one with a stream of everything, and awaits its opening.
    pub(crate) fn subscribe(hub: &Hub) -> Self {
        let mut opened = Self::open(hub);
        // `GET /sse/events` for hub.test (RFC 7541, 6).
        let block = b"\x82\x86\x44\x0b/sse/events\x41\x08hub.test";
        opened.0.send(flagged(HEADERS, END_OF_STREAM_AND_HEADERS, 1, block));
        let opening = opened.data();
        assert!(opening.starts_with(b":\nretry: "), "{:?}", String::from_utf8_lossy(&opening));
        opened
    }

    /// What the next DATA frame holds.
    pub(crate) fn data(&mut self) -> Vec<u8> {
        loop {
            let header = self.0.exactly(9);
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let payload = self.0.exactly(length as usize);
            if header[3] == DATA {
                return payload;
            }
        }
    }

    /// Says that it has had enough (GOAWAY), cancels its stream, and reads until the hub has closed.
    pub(crate) fn cancel_stream(mut self) {
        self.0.send(frame(GOAWAY, 0, &[0, 0, 0, 0, 0, 0, 0, ENHANCE_YOUR_CALM]));
        self.0.send(frame(RST_STREAM, 1, &[0, 0, 0, CANCEL]));
        self.0.rest();
    }
}
