//! What a publisher does for a shard on its own thread, and what it leaves.

use std::time::Duration;

use fanfare_hub::Requested;

use super::super::ShortTurn;
use super::rig::{Rig, events, text};
use crate::cadence::Cadence;
use crate::simulated_socket::SimulatedSocket;
use crate::subscription::NewSubscriber;

/// A shard that has done all there is to be done, with these subscribers.
fn rig<const N: usize>(topics: [&str; N]) -> (Rig, [SimulatedSocket; N]) {
    let mut rig = Rig::wide();
    let sockets = topics.map(|topic| rig.listen(topic));
    sockets.iter().for_each(|socket| drop(text(socket)));
    (rig, sockets)
}

fn short_turn(rig: &mut Rig) -> bool {
    let now = rig.now;
    rig.shard_mut().short_turn(now) == ShortTurn::Done
}

#[test]
fn a_publisher_delivers_to_a_few_and_leaves_nothing_to_be_done() {
    let (mut rig, [first, second, other]) = rig(["a", "a", "b"]);
    for n in 0..5 {
        rig.publish([("a", n.to_string())]);
        assert!(short_turn(&mut rig));
    }
    assert!(short_turn(&mut rig), "there is nothing new");
    for socket in [&first, &second] {
        let received = text(socket);
        let at = |n: usize| received.find(&format!("data: {n}")).unwrap();
        assert_eq!(events(&received), 5);
        assert!((1..5).all(|n| at(n - 1) < at(n)), "{received}");
    }
    rig.turn_until_idle();
    assert!(text(&first).is_empty(), "it was sent twice");
    assert_eq!(events(&text(&other)), 0);
}

#[test]
fn a_publisher_leaves_what_concerns_many_to_the_shard() {
    let (mut rig, sockets) = rig(["a", "a", "a", "a", "b"]);
    let few = rig.settings.limits.short_turn.subscribers;
    assert!(few < 4);
    // Also what another publisher is only about to say.
    rig.publish([("a", "for many".to_owned())]);
    rig.publish([("b", "for one".to_owned())]);
    assert!(!short_turn(&mut rig));
    assert!(sockets.iter().all(|socket| text(socket).is_empty()));
    rig.turn_until_idle();
    assert!(sockets.iter().all(|socket| events(&text(socket)) == 1));
}

#[test]
fn a_publisher_leaves_what_is_large_or_much_to_the_shard() {
    let (mut rig, [socket, _]) = rig(["a", "quiet"]);
    let limits = rig.settings.limits.short_turn;
    rig.publish([("a", "x".repeat(limits.bytes))]);
    assert!(!short_turn(&mut rig));
    assert!(text(&socket).is_empty());
    rig.turn_until_idle();
    assert_eq!(events(&text(&socket)), 1);
    // Looking at what concerns nobody takes time too.
    rig.publish((0..=limits.frames).map(|_| ("c", String::new())));
    assert!(!short_turn(&mut rig));
}

#[test]
fn a_publisher_leaves_patterns_that_may_want_anything_to_the_shard() {
    let (mut rig, sockets) = rig(["a/*", "b/*", "c/*", "d/*"]);
    rig.publish([("a/1", "for one of four".to_owned())]);
    assert!(!short_turn(&mut rig));
    rig.turn_until_idle();
    assert_eq!(events(&text(&sockets[0])), 1);
}

#[test]
fn events_that_follow_one_another_closely_are_gathered_for_a_turn() {
    let rest = Duration::from_millis(1);
    let mut rig = Rig::with(|settings| settings.limits.short_turn.rest = rest);
    let socket = rig.listen("a");
    text(&socket);
    rig.now = rig.now + rest;
    rig.publish([("a", "first".to_owned())]);
    assert!(short_turn(&mut rig), "it has rested");
    for n in 0..3 {
        rig.publish([("a", n.to_string())]);
        assert!(!short_turn(&mut rig));
    }
    assert_eq!(events(&text(&socket)), 1);
    let writes = rig.shard().totals.writes;
    rig.turn_until_idle();
    assert_eq!(events(&text(&socket)), 3);
    assert_eq!(rig.shard().totals.writes, writes + 1, "each was written alone");
}

#[test]
fn a_pause_that_a_publisher_begins_ends_in_time() {
    let mut rig = Rig::wide();
    let socket = SimulatedSocket::default();
    let cadence = Some(Cadence::from_millis(100).unwrap());
    let subscriber = NewSubscriber { cadence, ..rig.subscriber("a", &socket, &Requested::Live) };
    rig.delivery().join(subscriber);
    socket.make_room(usize::MAX);
    rig.turn_until_idle();
    text(&socket);
    rig.publish([("a", "first".to_owned())]);
    assert!(!short_turn(&mut rig), "nothing would wake the shard when the pause is over");
    assert_eq!(events(&text(&socket)), 1);
    assert_eq!(rig.shard().poll_timeout(rig.now), Some(Duration::from_millis(100)));
}

#[test]
fn one_who_is_on_its_way_during_a_short_turn_misses_nothing() {
    let (mut rig, [first]) = rig(["a"]);
    rig.publish([("a", "before".to_owned())]);
    let late = rig.ask("a", &Requested::Live);
    late.make_room(usize::MAX);
    rig.publish([("a", "after".to_owned())]);
    short_turn(&mut rig);
    assert_eq!(events(&text(&first)), 2);
    rig.turn_until_idle();
    let received = text(&late);
    assert!(received.contains("data: after") && !received.contains("data: before"), "{received}");
}

#[test]
fn one_that_takes_nothing_has_its_event_in_a_later_turn() {
    let mut rig = Rig::wide();
    let socket = rig.ask("a", &Requested::Live);
    socket.make_room(300);
    rig.turn_until_idle();
    text(&socket);
    rig.publish([("a", "x".repeat(400))]);
    assert!(short_turn(&mut rig), "it waits for room, and for nothing else");
    assert!(text(&socket).contains("data: xx"), "as much as there is room for");
    rig.publish([("a", "second".to_owned())]);
    assert!(short_turn(&mut rig));
    assert!(!text(&socket).contains("second"));
    rig.room(&socket, usize::MAX);
    let rest = text(&socket);
    assert!(rest.contains("data: second"), "{rest}");
}
