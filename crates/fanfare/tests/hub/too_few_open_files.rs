//! A low soft limit of open files is no limit of subscribers.

use crate::support::Setup;

#[test]
fn a_low_soft_limit_is_raised() {
    let hub = Setup::new(&[]).soft_limit_of_open_files(256).alone().start();
    let mut subscribers: Vec<_> = (0..400).map(|_| hub.subscribe("")).collect();
    hub.publisher().send("all of you");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.next().data, "all of you");
    }
}
