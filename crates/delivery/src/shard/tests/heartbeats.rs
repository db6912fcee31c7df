//! When a subscriber is sent a heartbeat, by a clock that only these tests move.

use std::time::Duration;

use super::rig::{HEARTBEAT, Rig, text};
use crate::cursor::HeldId;
use crate::simulated_socket::SimulatedSocket;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: u32 = 3600;

/// Lets a second pass; whether the socket was sent a keepalive in it.
fn sends_heartbeat(rig: &mut Rig, socket: &SimulatedSocket) -> bool {
    rig.now = rig.now + SECOND;
    rig.turn_until_idle();
    text(socket).contains("\r\n:\n")
}

/// How many seconds apart the keepalives of so many seconds are.
fn intervals(rig: &mut Rig, socket: &SimulatedSocket, seconds: u32) -> Vec<u32> {
    let (mut intervals, mut since) = (Vec::new(), 0);
    for _ in 0..seconds {
        since += 1;
        if sends_heartbeat(rig, socket) {
            intervals.push(std::mem::take(&mut since));
        }
    }
    intervals
}

fn seconds(interval: Duration) -> u32 {
    u32::try_from(interval.as_secs()).unwrap()
}

#[test]
fn a_stream_that_survives_quiet_intervals_is_sent_fewer_heartbeats_and_none_too_late() {
    let mut rig = Rig::wide();
    let socket = rig.listen("a");
    text(&socket);
    let longest = seconds(rig.settings.longest_heartbeat);
    let first = intervals(&mut rig, &socket, HOUR);
    let early = first.iter().take(5).max().unwrap();
    assert!(*early <= seconds(HEARTBEAT) + 1, "it has proven nothing yet: {first:?}");
    let last = intervals(&mut rig, &socket, HOUR);
    assert!(last.len() as u32 <= HOUR / (longest / 2), "{last:?}");
    for interval in first.iter().chain(&last) {
        assert!(*interval <= longest + 1, "{first:?} {last:?}");
    }
}

#[test]
fn a_stream_of_many_events_keeps_its_heartbeat() {
    let mut rig = Rig::wide();
    let socket = rig.listen("a");
    for _ in 0..HOUR / 10 {
        rig.publish([("a", "x".to_owned())]);
        rig.turn_until_idle();
        rig.now = rig.now + 10 * SECOND;
        rig.turn_until_idle();
    }
    text(&socket);
    // From here on it is quiet, and has yet to show that it lasts.
    let intervals = intervals(&mut rig, &socket, 60);
    assert!(intervals.len() >= 3, "{intervals:?}");
}

#[test]
fn a_stream_without_an_id_is_given_one_at_the_next_pass_however_seldom_its_heartbeats_are() {
    let mut rig = Rig::wide();
    let socket = rig.listen("a");
    intervals(&mut rig, &socket, 2 * HOUR);
    // As on a hub whose log had not begun.
    let key = socket.key().unwrap();
    rig.shard_mut().table.get_mut(key).unwrap().held_id = HeldId::NONE;
    let cursors = rig.shard().totals.fresh_cursors;
    for _ in 0..=seconds(HEARTBEAT) {
        sends_heartbeat(&mut rig, &socket);
    }
    assert_eq!(rig.shard().totals.fresh_cursors, cursors + 1);
}

#[test]
fn streams_that_joined_together_are_not_sent_their_heartbeats_together() {
    const STREAMS: usize = 128;
    let mut rig = Rig::wide();
    let sockets: Vec<_> = (0..STREAMS).map(|_| rig.listen("a")).collect();
    intervals(&mut rig, &sockets[0], HOUR);
    let longest = seconds(rig.settings.longest_heartbeat);
    let passes = longest / seconds(HEARTBEAT);
    for _ in 0..passes {
        let before = rig.shard().totals.keepalives;
        intervals(&mut rig, &sockets[0], seconds(HEARTBEAT));
        let sent = rig.shard().totals.keepalives - before;
        assert!(sent < STREAMS as u64 / 3, "{sent} of {STREAMS} in one pass of {passes}");
    }
}

#[test]
fn without_a_longest_interval_every_pass_comes_to_every_stream() {
    let mut rig = Rig::with(|settings| settings.longest_heartbeat = settings.heartbeat);
    let socket = rig.listen("a");
    let intervals = intervals(&mut rig, &socket, HOUR);
    assert!(intervals.iter().all(|interval| *interval <= seconds(HEARTBEAT) + 1), "{intervals:?}");
}
