//! A subscriber that goes away, in whatever way, is let go.

use crate::over_http1_and_http2;
use crate::support::{Http, Hub};

over_http1_and_http2!(whoever_leaves_is_no_longer_counted);

fn whoever_leaves_is_no_longer_counted(http: Http) {
    let hub = Hub::start(&[]);
    for round in 0..3 {
        let subscribers: Vec<_> = (0..50).map(|_| hub.subscription().over(http).open()).collect();
        hub.await_metrics("all of them", |now| now.sum("fanfare_subscribers") == 50.0);
        if round == 1 {
            // They leave with unread bytes, which resets the connection.
            hub.publisher().send("unread");
        }
        drop(subscribers);
        hub.await_metrics("none of them", |now| now.sum("fanfare_subscribers") == 0.0);
    }
    hub.await_metrics("their departures", |now| now.sum("fanfare_closed_total") == 150.0);
}

#[test]
fn leaving_before_the_answer_harms_nobody() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    for _ in 0..100 {
        hub.connect().send("GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n");
        hub.connect().send("GET /sse/ev");
        hub.publisher().post_json(r#"{"message": 1}"#);
    }
    hub.publisher().send("still here");
    assert_eq!(subscriber.next().data, "still here");
    hub.await_metrics("only one", |now| now.sum("fanfare_subscribers") == 1.0);
}
