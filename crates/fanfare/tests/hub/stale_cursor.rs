//! A subscriber whose topics are quiet keeps a fresh id, so that nothing missed is never called a
//! gap.
//!
//! Invariant: *no silent loss*.

use crate::over_http1_and_http2;
use crate::support::{Http, Hub};

over_http1_and_http2!(
    a_quiet_subscriber_is_given_fresh_ids,
    a_new_subscriber_is_given_an_id_before_its_first_event,
);

fn a_quiet_subscriber_is_given_fresh_ids(http: Http) {
    let hub = Hub::start(&["--retain-count", "64", "--heartbeat", "200ms"]);
    let mut publisher = hub.publisher();
    // Half of what the pattern spans goes by another type and is trimmed: only a fresh id can
    // tell that nothing wanted was.
    let query = "topic=orders/**&event=paid";
    let mut quiet = hub.subscription().over(http).query(query).open();
    publisher.publish(&serde_json::json!({
        "topic": "orders/1", "message": "first", "event": "paid",
    }));
    let mut last = quiet.next();
    for round in 0..5 {
        publisher.count("orders/noise", 0..40);
        let cursor = quiet.cursor();
        assert!(cursor.seq() > last.seq(), "{cursor:?} after {last:?} in round {round}");
        assert!(!cursor.data.is_empty(), "clients lose blocks without data: {cursor:?}");
        assert_eq!(quiet.last_event_id(), cursor.id);
        last = cursor;
    }
    drop(quiet);
    let mut quiet = hub.subscription().over(http).query(query).after(&last.id).open();
    publisher.publish(&serde_json::json!({
        "topic": "orders/2", "message": "second", "event": "paid",
    }));
    assert_eq!(quiet.messages(1), ["second"]);
}

fn a_new_subscriber_is_given_an_id_before_its_first_event(http: Http) {
    let hub = Hub::start(&["--heartbeat", "200ms"]);
    let mut publisher = hub.publisher();
    publisher.send("before");
    let mut subscriber = hub.subscription().over(http).open();
    let cursor = subscriber.cursor();
    drop(subscriber);
    publisher.send("missed");
    let mut subscriber = hub.subscription().over(http).after(&cursor.id).open();
    assert_eq!(subscriber.messages(1), ["missed"]);
}
