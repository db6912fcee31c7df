//! A page that could not be read, and the subscriber that waits for it.

use std::time::Duration;

use fanfare_hub::{Requested, WindowBounds};

use super::rig::{Rig, events, text};

#[test]
fn a_failed_page_is_asked_for_again_after_a_pause() {
    const EVENTS: usize = 10;
    let mut rig = Rig::new(WindowBounds { count: 1, bytes: 1 << 40 });
    rig.publish((0..EVENTS).map(|n| ("a", format!("{n}"))));
    let socket = rig.ask("a", &Requested::Earliest);
    socket.make_room(usize::MAX);
    rig.turn_until_idle();
    rig.log.set_readable(false);
    assert!(rig.read_one());
    assert!(!rig.read_one(), "it is asked for again at once");
    rig.log.set_readable(true);
    let end = rig.now + Duration::from_secs(1);
    while rig.now.monotonic < end.monotonic {
        rig.sleep();
        rig.turn_until_idle();
    }
    rig.read_all();
    let received = text(&socket);
    assert_eq!(events(&received), EVENTS, "{received}");
    assert!(!received.contains("fanfare.gap"), "{received}");
}
