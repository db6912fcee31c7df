//! What streams that are open are told of a loss.
//!
//! Invariants: *no silent loss*.

use fanfare_event::Position;
use fanfare_hub::{Envelope, Gap, Requested};
use fanfare_sse::{Encoded, Fields, comment, encode};

use super::rig::{Rig, events, text};
use crate::simulated_socket::SimulatedSocket;
use crate::stream_format::{StreamFormat, native};
use crate::subscription::NewSubscriber;
use crate::wire::{Framing, Wire};

/// A protocol with words of its own for a loss, or without any.
#[derive(Debug)]
struct Foreign(Option<&'static str>);

impl StreamFormat for Foreign {
    fn name(&self) -> &'static str {
        self.0.unwrap_or("silent")
    }

    fn envelope(&self) -> Envelope {
        Envelope::OwnId
    }

    fn gap(&self, gap: &Gap) -> Encoded {
        let Some(word) = self.0 else { return comment() };
        let id = format!("#{}", gap.resumed_from);
        encode(Fields { id: Some(&id), event: Some(word), data: gap.reason.as_str() })
    }

    fn cursor(&self, position: Position) -> Encoded {
        native(Envelope::None).cursor(position)
    }

    fn expired(&self, position: Option<Position>) -> Encoded {
        native(Envelope::None).expired(position)
    }
}

#[test]
fn a_stream_that_is_open_is_told_of_a_loss_in_the_words_of_its_protocol() {
    static MISSED: Foreign = Foreign(Some("missed"));
    static SILENT: Foreign = Foreign(None);
    let mut rig = Rig::wide();
    let formats: [&'static dyn StreamFormat; 4] =
        [native(Envelope::None), &MISSED, &SILENT, &MISSED];
    let sockets = formats.map(|format| {
        let socket = SimulatedSocket::default();
        let wire = Wire::new(format, Framing::Bare);
        let subscriber = rig.subscriber("a", &socket, &Requested::Live);
        rig.delivery().join(NewSubscriber { wire, ..subscriber });
        socket.make_room(usize::MAX);
        socket
    });
    rig.publish([("a", "before".to_owned())]);
    rig.turn_until_idle();
    sockets.iter().for_each(|socket| drop(socket.taken()));
    rig.log.lose(1);
    rig.turn_until_idle();
    let received = sockets.each_ref().map(text);
    assert!(received[0].starts_with("id: ") && received[0].contains("\nevent: fanfare.gap\n"));
    for received in [&received[1], &received[3]] {
        assert!(received.starts_with("id: #"), "{received}");
        assert!(received.ends_with("\nevent: missed\ndata: engine_lost_writes\n\n"), "{received}");
    }
    assert_eq!(received[2], ":\n");
    rig.publish([("a", "after".to_owned())]);
    rig.turn_until_idle();
    assert_eq!(sockets.map(|socket| events(&text(&socket))), [1; 4]);
}
