//! What streams that are open are told of a loss.
//!
//! Invariants: *no silent loss*.

use fanfare_event::Position;
use fanfare_hub::{Envelope, Gap, Requested, WindowBounds};
use fanfare_sse::{Encoded, Fields, comment, encode};

use super::rig::{Rig, events, text};
use crate::counters::CloseReason;
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

    fn tells_gaps(&self) -> bool {
        self.0.is_some()
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
    let mut rig = Rig::wide();
    let formats: [&'static dyn StreamFormat; 3] = [native(Envelope::None), &MISSED, &MISSED];
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
    for received in &received[1..] {
        assert!(received.starts_with("id: #"), "{received}");
        assert!(received.ends_with("\nevent: missed\ndata: engine_lost_writes\n\n"), "{received}");
    }
    rig.publish([("a", "after".to_owned())]);
    rig.turn_until_idle();
    assert_eq!(sockets.map(|socket| events(&text(&socket))), [1; 3]);
}

/// A client without words for a loss joins, asking for this; `told` is whether the head of its stream said that
/// something may be missing.
fn join_silent(rig: &mut Rig, requested: &Requested, told: bool) -> SimulatedSocket {
    static SILENT: Foreign = Foreign(None);
    let socket = SimulatedSocket::default();
    let wire = Wire::new(&SILENT, Framing::Bare);
    let wire = if told { wire.behind_gap() } else { wire };
    let subscriber = rig.subscriber("a", &socket, requested);
    rig.delivery().join(NewSubscriber { wire, has_id: true, ..subscriber });
    socket.make_room(usize::MAX);
    rig.turn_until_idle();
    socket.taken();
    socket
}

fn ended_at_a_gap(rig: &Rig) -> u64 {
    rig.shard().totals.closed[CloseReason::Gap.index()]
}

#[test]
fn a_stream_without_words_for_a_loss_ends_before_it() {
    let mut rig = Rig::wide();
    let heard = join_silent(&mut rig, &Requested::Live, false);
    rig.publish([("a", "before".to_owned())]);
    rig.turn_until_idle();
    assert_eq!(events(&text(&heard)), 1);
    // What a head tells is what there was when it was written.
    let told = join_silent(&mut rig, &Requested::Live, true);
    assert_eq!(ended_at_a_gap(&rig), 0);
    rig.log.lose(1);
    rig.turn_until_idle();
    assert_eq!(ended_at_a_gap(&rig), 2);
    for socket in [heard, told] {
        let last = text(&socket);
        assert!(last.starts_with("retry: ") && events(&last) == 0, "{last}");
    }
}

#[test]
fn a_stream_without_words_for_a_loss_passes_one_that_its_head_told() {
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 20 });
    let drafts = |count| (0..count).map(|n: u64| ("a", n.to_string()));
    let before = Requested::After(rig.hub.window().last());
    rig.publish(drafts(3));
    rig.log.forget();
    rig.publish(drafts(3));
    let untold = join_silent(&mut rig, &before, false);
    let told = join_silent(&mut rig, &before, true);
    rig.read_all();
    assert_eq!((events(&text(&untold)), events(&text(&told))), (0, 3));
    assert_eq!(ended_at_a_gap(&rig), 1);
}

#[test]
fn what_a_head_told_is_said_of_nothing_behind_an_event() {
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 20 });
    let drafts = |count| (0..count).map(|n: u64| ("a", n.to_string()));
    let before = Requested::After(rig.hub.window().last());
    rig.publish(drafts(20));
    let told = join_silent(&mut rig, &before, true);
    assert!(rig.read_one());
    assert!(events(&text(&told)) > 0);
    // What comes next is trimmed before it is read.
    rig.log.forget();
    rig.publish(drafts(3));
    rig.read_all();
    assert_eq!((events(&text(&told)), ended_at_a_gap(&rig)), (0, 1));
}

#[test]
fn a_loss_behind_events_that_go_out_with_it_is_not_passed_over() {
    static SILENT: Foreign = Foreign(None);
    let mut rig = Rig::wide();
    let socket = SimulatedSocket::default();
    let wire = Wire::new(&SILENT, Framing::Bare).behind_gap();
    let subscriber = rig.subscriber("a", &socket, &Requested::Live);
    rig.delivery().join(NewSubscriber { wire, has_id: true, ..subscriber });
    rig.turn_until_idle();
    // It has no room until both are there.
    rig.publish([("a", "1".to_owned()), ("a", "2".to_owned())]);
    rig.turn_until_idle();
    rig.log.lose(1);
    rig.turn_until_idle();
    rig.room(&socket, usize::MAX);
    rig.read_all();
    let taken = text(&socket);
    assert_eq!((ended_at_a_gap(&rig), events(&taken) > 0), (1, true), "{taken}");
}
