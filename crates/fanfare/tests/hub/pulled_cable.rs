//! A subscriber whose network dies without a word: no FIN comes, no RST, and a send succeeds for as
//! long as the system has room.
//!
//! Invariant: *nobody waits*, *bounded*, *once*.

use crate::over_http1_and_http2;
use crate::support::{Cable, Http, Hub, Ledger, Setup, Subscription};

/// A hub at one end of a cable, whose peers have so long to take what is sent to them.
fn hub_at(cable: &Cable, write_timeout: &str) -> Hub {
    let here = cable.here().to_string();
    let listen = format!("{here}:0");
    let reachable = ["--listen", &listen, "--allow-host", &here, "--open"];
    // It takes us for a distant client, and one that asks for metrics all the time.
    let rates = ["--publish-rate", "1000000000", "--request-rate", "1000000000"];
    let arguments = [&reachable[..], &["--heartbeat", "100ms"], &rates].concat();
    Setup::new(&[&arguments[..], &["--write-timeout", write_timeout]].concat()).alone().start()
}

over_http1_and_http2!(
    one_with_nothing_to_hear_is_kept_for_ever,
    one_with_much_to_hear_is_kept_for_ever,
    a_cable_that_is_plugged_in_again_has_cost_something,
);

fn one_with_nothing_to_hear_is_kept_for_ever(http: Http) {
    let cable = Cable::lay();
    let hub = hub_at(&cable, "500ms");
    let mut near = hub.subscribe("");
    let far = cable.at_the_other_end(|| Subscription::new(hub.address()).over(http).open());
    hub.await_metrics("both", |now| now.sum("fanfare_subscribers") == 2.0);
    cable.pull();
    // A seat is given back before it is counted who was closed.
    hub.await_metrics("only the near one", |now| {
        now.sum("fanfare_subscribers") == 1.0 && now.sum("fanfare_closed_total") == 1.0
    });
    hub.publisher().send("still here");
    assert_eq!(near.next().data, "still here");
    drop(far);
}

fn one_with_much_to_hear_is_kept_for_ever(http: Http) {
    let cable = Cable::lay();
    let hub = hub_at(&cable, "500ms");
    let mut near = hub.subscribe("");
    let far = cable.at_the_other_end(|| Subscription::new(hub.address()).over(http).open());
    hub.await_metrics("both", |now| now.sum("fanfare_subscribers") == 2.0);
    cable.pull();
    let mut publisher = hub.publisher();
    let mut ledger = Ledger::beginning_with(0);
    let mut published = 0;
    while hub.metrics().sum("fanfare_subscribers") == 2.0 {
        publisher.count("default", published..published + 100);
        (0..100).for_each(|_| ledger.enter(&near.next()));
        published += 100;
    }
    hub.await_metrics("it is counted", |now| now.sum("fanfare_closed_total") == 1.0);
    drop(far);
}

fn a_cable_that_is_plugged_in_again_has_cost_something(http: Http) {
    let cable = Cable::lay();
    let hub = hub_at(&cable, "30s");
    let mut far = cable.at_the_other_end(|| Subscription::new(hub.address()).over(http).open());
    let mut publisher = hub.publisher();
    let mut ledger = Ledger::beginning_with(0);
    publisher.count("default", 0..10);
    (0..10).for_each(|_| ledger.enter(&far.next()));
    cable.pull();
    publisher.count("default", 10..500);
    let sent = |now: &crate::support::Metrics| now.sum("fanfare_deliveries_total") >= 500.0;
    hub.await_metrics("all on their way", sent);
    cable.plug_in();
    publisher.count("default", 500..510);
    while ledger.next() < 510 {
        ledger.enter(&far.next());
    }
    assert_eq!(hub.metrics().sum("fanfare_closed_total"), 0.0, "the connection is the same");
}
