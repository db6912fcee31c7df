//! How long a stream goes on, and what it is sent away with.
//!
//! Invariants: *no longer than granted*, *clean close*.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fanfare_event::Timestamp;
use fanfare_hub::{Requested, WindowBounds};

use super::rig::{Rig, text};
use crate::counters::CloseReason;
use crate::cut::Cut;
use crate::lease::Lease;
use crate::movable::Movable;
use crate::simulated_socket::SimulatedSocket;
use crate::subscription::NewSubscriber;

fn rig() -> Rig {
    Rig::new(WindowBounds { count: 100, bytes: 1 << 20 })
}

fn lease(verified: Instant, expires: Option<Timestamp>) -> Lease {
    Lease {
        subject: Some("ada".into()),
        credential: None,
        address: Ipv4Addr::LOCALHOST.into(),
        expires,
        verified,
        seats: Vec::new(),
    }
}

/// A stream that was granted at a time, and until another.
fn granted(rig: &mut Rig, verified: Instant, expires: Option<Timestamp>) -> SimulatedSocket {
    let socket = SimulatedSocket::default();
    socket.make_room(usize::MAX);
    let lease = Some(Box::new(lease(verified, expires)));
    let subscriber = NewSubscriber { lease, ..rig.subscriber("a", &socket, &Requested::Live) };
    rig.delivery().join(subscriber);
    rig.turn_until_idle();
    socket
}

#[test]
fn a_stream_ends_with_its_token() {
    let mut rig = rig();
    let (begun, minute) = (rig.now, Duration::from_secs(60));
    let short = granted(&mut rig, begun.monotonic, Some((begun + minute).wall));
    let long = granted(&mut rig, begun.monotonic, Some((begun + 2 * minute).wall));
    rig.now = begun + (minute - Duration::from_secs(1));
    rig.turn_until_idle();
    assert!(!short.is_closed(), "it may stay for a second");
    rig.now = begun + minute;
    rig.turn_until_idle();
    assert!(short.is_closed() && !long.is_closed());
    let received = text(&short);
    assert!(received.contains("\nevent: fanfare.expired\n"), "{received}");
    assert_eq!(rig.shard().totals.closed[CloseReason::Expired.index()], 1);
}

#[test]
fn a_stream_whose_token_never_ends_goes_on_for_ever() {
    let hour = Duration::from_secs(3600);
    let mut rig = Rig::with(|settings| settings.max_age = Some(hour));
    rig.publish([("b", "before".to_owned())]);
    let begun = rig.now;
    let endless = granted(&mut rig, begun.monotonic, None);
    let short = granted(&mut rig, begun.monotonic, Some((begun + hour / 2).wall));
    let nobodys = rig.listen("a");
    rig.publish([("b", "not for them".to_owned())]);
    rig.turn_until_idle();
    let here = rig.shard().position;
    rig.now = begun + hour / 2;
    rig.turn_until_idle();
    assert!(short.is_closed() && text(&short).contains("event: fanfare.expired\n"), "by its token");
    rig.now = begun + (hour * 9 / 10 - Duration::from_millis(1));
    rig.turn_until_idle();
    assert!(!endless.is_closed() && !nobodys.is_closed(), "no more than a tenth early");
    rig.now = begun + hour;
    rig.turn_until_idle();
    for stream in [&endless, &nobodys] {
        let received = text(stream);
        assert!(stream.is_closed() && !received.contains("fanfare.expired"), "{received}");
        assert!(received.contains(&format!("\nid: {here}\n")), "to come back with: {received}");
        assert!(received.contains("\nretry: "), "{received}");
    }
    assert_eq!(rig.shard().totals.closed[CloseReason::Aged.index()], 2);
    assert_eq!(rig.shard().expiries.next(), None, "nobody is waited for");
}

#[test]
fn those_who_came_together_leave_together() {
    let hour = Duration::from_secs(3600);
    let mut rig = Rig::with(|settings| settings.max_age = Some(hour));
    let begun = rig.now;
    let streams: Vec<_> = (0..50)
        .map(|n| {
            rig.now = begun + Duration::from_millis(n);
            rig.listen("a")
        })
        .collect();
    let closed = || streams.iter().filter(|stream| stream.is_closed()).count();
    let mut most = 0;
    for minute in 50..=61 {
        let before = closed();
        rig.now = begun + Duration::from_secs(60 * minute);
        rig.turn_until_idle();
        most = most.max(closed() - before);
    }
    assert_eq!(closed(), 50);
    assert!(most < 25, "{most} in one minute of six");
}

#[test]
fn a_cut_ends_a_stream_on_its_way_and_no_later_one() {
    let mut rig = rig();
    let (before, second) = (rig.now.monotonic, Duration::from_secs(1));
    rig.now = rig.now + second;
    let there = granted(&mut rig, before, None);
    let cut = Cut { subject: "ada".into(), at: rig.now.monotonic };
    rig.delivery().cut(&[cut].into(), |_| ());
    rig.turn_until_idle();
    let late = granted(&mut rig, before, None);
    let now = rig.now.monotonic + second;
    let anew = granted(&mut rig, now, None);
    assert!(there.is_closed() && late.is_closed() && !anew.is_closed());
    assert_eq!(rig.shard().totals.closed[CloseReason::Revoked.index()], 2);
}

#[test]
fn one_who_never_had_an_id_is_sent_away_with_one() {
    let mut rig = rig();
    rig.publish([("b", "before".to_owned())]);
    let socket = rig.listen("a");
    rig.publish([("b", "not for it".to_owned())]);
    rig.turn_until_idle();
    let here = rig.shard().position;
    let now = rig.now;
    assert!(rig.shard_mut().cut_one(socket.key().unwrap(), now));
    let received = text(&socket);
    assert!(received.contains(&format!("\nid: {here}\n")), "{received}");
}

#[test]
fn a_stream_that_expires_before_its_first_page_names_no_position() {
    let mut rig = rig();
    rig.publish([("a", "retained".to_owned())]);
    let (begun, minute) = (rig.now, Duration::from_secs(60));
    let socket = SimulatedSocket::default();
    socket.make_room(usize::MAX);
    let expires = Some((begun + minute).wall);
    let lease = Some(Box::new(lease(begun.monotonic, expires)));
    let subscriber = NewSubscriber { lease, ..rig.subscriber("a", &socket, &Requested::Earliest) };
    rig.delivery().join(subscriber);
    rig.turn_until_idle();
    rig.now = begun + minute;
    rig.turn_until_idle();
    let received = text(&socket);
    assert!(received.contains("event: fanfare.expired\n"), "{received}");
    // With an id, the client would come back with one that the log has never given out, and be told
    // of a gap. Without, it asks for the earliest again.
    assert!(!received.contains("id: "), "{received}");
    assert!(socket.is_closed());
}

#[test]
fn a_stream_that_is_handed_over_while_its_sink_holds_back_its_end_ends_in_order() {
    let mut rig = rig();
    let beginning = rig.listen("a").taken().len();
    let socket = SimulatedSocket::sealing();
    rig.delivery().join(rig.subscriber("a", &socket, &Requested::Live));
    socket.make_room(beginning + 5);
    rig.turn_until_idle();
    let now = rig.now;
    assert!(rig.shard_mut().cut_one(socket.key().unwrap(), now));
    assert!(!socket.is_closed(), "nothing is held back");
    let (moved, taken) = std::sync::mpsc::channel();
    rig.delivery().detach(0, 2, Movable::Secured, move |detached| moved.send(detached).unwrap());
    rig.turn_until_idle();
    let detached = taken.recv().unwrap().pop().unwrap();
    assert!(rig.delivery().attach(detached).is_none());
    rig.turn_until_idle();
    assert!(!socket.is_closed(), "it was closed with its end held back");
    rig.room(&socket, usize::MAX);
    let received = text(&socket);
    assert!(received.ends_with("\r\n0\r\n\r\n"), "{received}");
    assert!(socket.is_closed());
}

#[test]
fn one_who_has_just_come_stays_behind_when_all_are_taken_out() {
    let mut rig = rig();
    let socket = SimulatedSocket::default();
    rig.delivery().join(rig.subscriber("a", &socket, &Requested::Live));
    let (moved, taken) = std::sync::mpsc::channel();
    rig.delivery().detach(0, usize::MAX, Movable::Secured, move |detached| {
        moved.send(detached.len()).unwrap();
    });
    rig.turn_until_idle();
    assert_eq!(taken.recv().unwrap(), 1);
}
