//! What a subscriber with a cadence is sent, and when.

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{PrivateRights, Selector};
use fanfare_hub::{Interest, Requested, WindowBounds};

use super::rig::{Rig, events, text};
use crate::cadence::Cadence;
use crate::simulated_socket::SimulatedSocket;
use crate::subscription::NewSubscriber;

const INTERVAL: Duration = Duration::from_millis(400);

/// A subscriber of `topic` with a cadence, whose sink takes everything.
fn listen(rig: &mut Rig, topic: &str, cadence: Cadence) -> SimulatedSocket {
    let socket = SimulatedSocket::default();
    let cadence = Some(cadence);
    let subscriber = NewSubscriber { cadence, ..rig.subscriber(topic, &socket, &Requested::Live) };
    rig.delivery().join(subscriber);
    socket.make_room(usize::MAX);
    rig.turn_until_idle();
    text(&socket);
    socket
}

fn often() -> Cadence {
    Cadence::from_millis(400).unwrap()
}

/// Publishes events one after the other, each with a turn of its own; how many of them have arrived.
fn publish(rig: &mut Rig, socket: &SimulatedSocket, count: usize) -> usize {
    for n in 0..count {
        rig.publish([("a", format!("{n}"))]);
        rig.turn_until_idle();
    }
    events(&text(socket))
}

fn pass(rig: &mut Rig, time: Duration) {
    rig.now = rig.now + time;
    rig.turn_until_idle();
}

#[test]
fn what_comes_within_the_interval_is_written_at_once_when_it_is_over() {
    let mut rig = Rig::wide();
    let socket = listen(&mut rig, "a", often());
    assert_eq!(publish(&mut rig, &socket, 30), 1, "the first need not wait, the others must");
    let writes = rig.shard().totals.writes;
    pass(&mut rig, INTERVAL - Duration::from_millis(1));
    assert_eq!(events(&text(&socket)), 0);
    let due = rig.shard().poll_timeout(rig.now);
    assert_eq!(due, Some(Duration::from_millis(1)), "nothing would wake the shard in time");
    pass(&mut rig, Duration::from_millis(1));
    assert_eq!(events(&text(&socket)), 29);
    // As many as take the buffers that one write is offered.
    let most = 29_usize.div_ceil(rig.settings.limits.write_buffers) as u64;
    let written = rig.shard().totals.writes - writes;
    assert!(written <= most, "{written} writes");
    // It has been sent something, and pauses again; once that is over, it waits for nothing.
    assert_eq!(publish(&mut rig, &socket, 1), 0);
    pass(&mut rig, INTERVAL);
    assert_eq!(events(&text(&socket)), 1);
    pass(&mut rig, INTERVAL);
    assert_eq!(publish(&mut rig, &socket, 1), 1);
}

#[test]
fn a_keepalive_takes_no_events_with_it() {
    let mut rig = Rig::wide();
    let longest = Cadence::from_millis(*Cadence::MILLIS.end()).unwrap();
    let socket = listen(&mut rig, "a", longest);
    for _ in 0..5 {
        assert_eq!(publish(&mut rig, &socket, 3), 1);
        for _ in 1..10 {
            pass(&mut rig, Duration::from_secs(1));
            assert_eq!(events(&text(&socket)), 0);
        }
        pass(&mut rig, Duration::from_secs(1));
        assert_eq!(events(&text(&socket)), 2);
        pass(&mut rig, Duration::from_secs(10));
    }
    assert!(rig.shard().totals.keepalives > 0, "there was no heartbeat in all that time");
}

#[test]
fn room_takes_no_events_with_it() {
    let mut rig = Rig::wide();
    let socket = SimulatedSocket::default();
    let cadence = Some(often());
    let subscriber = NewSubscriber { cadence, ..rig.subscriber("a", &socket, &Requested::Live) };
    rig.delivery().join(subscriber);
    socket.make_room(1_000);
    rig.turn_until_idle();
    rig.publish([("a", "x".repeat(2_000))]);
    rig.turn_until_idle();
    assert_eq!(publish(&mut rig, &socket, 2), 1, "the first has begun");
    rig.room(&socket, usize::MAX);
    assert_eq!(events(&text(&socket)), 0);
    pass(&mut rig, INTERVAL);
    assert_eq!(events(&text(&socket)), 2);
}

#[test]
fn a_pause_ends_with_the_one_that_leaves() {
    let mut rig = Rig::wide();
    let socket = listen(&mut rig, "a", often());
    let key = socket.key().unwrap();
    assert_eq!(publish(&mut rig, &socket, 2), 1);
    let now = rig.now;
    assert!(rig.shard_mut().cut_one(key, now));
    let successor = listen(&mut rig, "a", often());
    pass(&mut rig, INTERVAL);
    assert_eq!(events(&text(&successor)), 0);
    assert_eq!(rig.shard().pauses.next(), None);
}

#[test]
fn one_whose_pause_outlasts_the_window_reads_the_log() {
    let mut rig = Rig::new(WindowBounds { count: 4, bytes: 1 << 40 });
    let socket = listen(&mut rig, "a", often());
    assert_eq!(publish(&mut rig, &socket, 40), 1);
    pass(&mut rig, INTERVAL);
    assert!(rig.read_all() > 0);
    let received = text(&socket);
    assert_eq!(events(&received), 39, "{received}");
    assert!(!received.contains("fanfare.gap"), "{received}");
}

#[test]
fn an_unwanted_event_starts_no_pause() {
    let mut rig = Rig::wide();
    let socket = SimulatedSocket::default();
    let alerts = Selector::parse(["a"], ["alert"]).unwrap();
    rig.delivery().join(NewSubscriber {
        cadence: Some(often()),
        interest: Arc::new(Interest::new(alerts, PrivateRights::None)),
        ..rig.subscriber("a", &socket, &Requested::Live)
    });
    socket.make_room(usize::MAX);
    rig.turn_until_idle();
    text(&socket);
    rig.publish([("a", "of no type".to_owned())]);
    rig.turn_until_idle();
    rig.publish_of_type("a", "alert", "at once");
    rig.turn_until_idle();
    assert_eq!(events(&text(&socket)), 1, "nothing was written before it");
}
