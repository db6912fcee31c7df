//! Beyond its capacity the hub turns streams away so that they come back, and serves the rest.

use crate::over_http1_and_http2;
use crate::support::Http;
use crate::support::{Hub, Subscriber};

over_http1_and_http2!(one_too_many_is_asked_to_come_back);

fn one_too_many_is_asked_to_come_back(http: Http) {
    let hub = Hub::alone(&["--max-subscribers", "3"]);
    let open = || hub.subscription().over(http).open();
    let mut admitted: Vec<Subscriber> = (0..3).map(|_| open()).collect();
    hub.await_metrics("three subscribers", |now| now.sum("fanfare_subscribers") == 3.0);
    for _ in 0..5 {
        // Not an error status: that would end an EventSource for good.
        let mut turned_away = open();
        assert_eq!(turned_away.until_closed(), []);
        assert!(!turned_away.retries.is_empty(), "when to come back is not said");
    }
    hub.publisher().send("to those admitted");
    for subscriber in &mut admitted {
        assert_eq!(subscriber.next().data, "to those admitted");
    }
    assert_eq!(hub.get("/healthz").status, 200);
    let metrics = hub.metrics();
    assert_eq!(metrics.sum("fanfare_subscribers"), 3.0);
    assert_eq!(metrics.sum("fanfare_refused_total"), 5.0);

    // A seat that becomes free is given away.
    admitted.pop();
    hub.await_metrics("two subscribers", |now| now.sum("fanfare_subscribers") == 2.0);
    let mut late = open();
    hub.publisher().send("to the late one");
    assert_eq!(late.next().data, "to the late one");
}
