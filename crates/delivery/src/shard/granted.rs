//! How long a stream goes on, and what it is sent away with.
//!
//! Invariants: *no longer than granted*, *clean close*.

use std::time::{Duration, Instant};

use fanfare_hub::{Requested, WindowBounds};

use super::bounds::{Rig, text};
use crate::counters::CloseReason;
use crate::cut::Cut;
use crate::delivery::NewSubscriber;
use crate::inbox::Command;
use crate::lease::Lease;
use crate::script::Script;

fn rig() -> Rig {
    Rig::new(WindowBounds { count: 100, bytes: 1 << 20 })
}

/// A stream that was granted at a time, and until another.
fn granted(rig: &mut Rig, verified: Instant, expires: Option<Instant>) -> Script {
    let script = Script::default();
    script.make_room(usize::MAX);
    let subject = Some("ada".into());
    let lease = Lease { subject, credential: None, expires, verified, seats: Vec::new() };
    let lease = Some(Box::new(lease));
    let subscriber = NewSubscriber { lease, ..rig.subscriber("a", &script, &Requested::Live) };
    rig.shard.handle().send(Command::Join(Box::new(subscriber)));
    rig.turn_until_idle();
    script
}

#[test]
fn a_stream_outlives_its_token() {
    let mut rig = rig();
    let (begun, minute) = (rig.now, Duration::from_secs(60));
    let short = granted(&mut rig, begun, Some(begun + minute));
    let long = granted(&mut rig, begun, Some(begun + 2 * minute));
    rig.now = begun + minute - Duration::from_secs(1);
    rig.turn_until_idle();
    assert!(!short.is_closed(), "it may stay for a second");
    rig.now = begun + minute;
    rig.turn_until_idle();
    assert!(short.is_closed() && !long.is_closed());
    let received = text(&short);
    assert!(received.contains("\nevent: fanfare.expired\n"), "{received}");
    assert_eq!(rig.shard.totals.closed[CloseReason::Expired.index()], 1);
}

#[test]
fn a_stream_on_its_way_escapes_a_cut_or_a_later_one_is_hit() {
    let mut rig = rig();
    let (before, second) = (rig.now, Duration::from_secs(1));
    rig.now += second;
    let there = granted(&mut rig, before, None);
    let cut = Cut { subject: "ada".into(), at: rig.now };
    rig.shard.handle().cut([cut].into(), Box::new(|_| ()));
    rig.turn_until_idle();
    let late = granted(&mut rig, before, None);
    let now = rig.now + second;
    let anew = granted(&mut rig, now, None);
    assert!(there.is_closed() && late.is_closed() && !anew.is_closed());
    assert_eq!(rig.shard.totals.closed[CloseReason::Revoked.index()], 2);
}

#[test]
fn one_who_never_had_an_id_is_sent_away_without() {
    let mut rig = rig();
    rig.publish([("b", "before".to_owned())]);
    let script = rig.listen("a");
    rig.publish([("b", "not for it".to_owned())]);
    rig.turn_until_idle();
    let here = rig.shard.position;
    assert!(rig.shard.cut_one(script.token().unwrap(), rig.now));
    let received = text(&script);
    assert!(received.contains(&format!("\nid: {here}\n")), "{received}");
}
