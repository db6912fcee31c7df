//! Whom a shard is woken for.

use std::sync::Arc;

use fanfare_hub::Requested;

use super::rig::{Rig, events, publish_to, text};
use crate::movable::Movable;

/// Has the shard hear of the beginning of the log, which concerns everyone.
fn settle(rig: &mut Rig) {
    rig.publish([("b", "0".to_owned())]);
    rig.turn_until_idle();
    rig.is_woken();
}

#[test]
fn a_shard_is_woken_only_for_what_is_wanted() {
    let mut rig = Rig::wide();
    let socket = rig.listen("a");
    settle(&mut rig);
    rig.publish([("b", "1".to_owned())]);
    assert!(!rig.is_woken());
    rig.publish([("b", "2".to_owned()), ("a", "3".to_owned())]);
    assert!(rig.is_woken(), "one of two concerns it");
    rig.turn_until_idle();
    assert_eq!(events(&text(&socket)), 1);
    rig.publish((0..100).map(|_| ("b", "many".to_owned())));
    assert!(!rig.is_woken());
    let topics = ["b/0", "b/1", "b/2", "b/3", "b/4", "b/5", "b/6", "b/7"];
    rig.publish(topics.map(|topic| (topic, String::new())));
    assert!(!rig.is_woken());
    let broad = rig.listen("c/*");
    settle(&mut rig);
    rig.publish([("b", "4".to_owned())]);
    assert!(rig.is_woken(), "a pattern may want anything");
    rig.turn_until_idle();
    assert_eq!(events(&text(&broad)), 0);
}

#[test]
fn a_shard_nothing_concerns_is_woken_in_time() {
    let mut rig = Rig::wide();
    rig.listen("a");
    settle(&mut rig);
    let mut published = 0;
    while !rig.is_woken() {
        rig.publish([("b", "x".repeat(10_000))]);
        published += 1;
        assert!(published < 1_000, "ten megabytes");
    }
    assert!(published > 10, "it is woken for little");
    rig.turn_until_idle();
    rig.publish([("b", "x".repeat(10_000))]);
    assert!(!rig.is_woken());
}

#[test]
fn one_who_enters_during_a_publish_gets_the_event() {
    let mut rig = Rig::wide();
    // A turn takes in two, and whoever else is there when it is asked to give some away.
    let sockets = ["a", "a", "late"].map(|topic| rig.ask(topic, &Requested::Live));
    sockets.iter().for_each(|socket| socket.make_room(usize::MAX));
    let hub = Arc::clone(&rig.hub);
    let publish = move |_| publish_to(&hub, [("late", "meanwhile".to_owned())]);
    rig.delivery().count(&Arc::from([]), publish);
    rig.delivery().detach(0, 0, Movable::ClearText, |_| ());
    rig.turn();
    assert_eq!(events(&text(&sockets[2])), 1);
}
