//! Quiet streams are sent heartbeats that they have shown not to need, or those that may need them are not.
//!
//! Each hub has one subscriber. What is compared are counts of two hubs over the same time.

use crate::over_http1_and_http2;
use crate::support::{Http, Hub};

over_http1_and_http2!(a_stream_that_lasts_is_sent_fewer_heartbeats);

fn a_stream_that_lasts_is_sent_fewer_heartbeats(http: Http) {
    let usual = Hub::alone(&["--heartbeat", "100ms"]);
    let growing = Hub::alone(&["--heartbeat", "100ms", "--heartbeat-max", "1s"]);
    let [mut heard, mut seldom] =
        [&usual, &growing].map(|hub| hub.subscription().over(http).open());
    let sent = |hub: &Hub| hub.metrics().exact("fanfare_keepalives_total");
    usual.await_metrics("heartbeats come", |metrics| {
        metrics.exact("fanfare_keepalives_total") >= 80
    });
    let count = sent(&growing);
    // Four of each length, and then every tenth: a third of them, at most.
    assert!((5..50).contains(&count), "{count} heartbeats while the other hub sent 80");
    for (hub, subscriber) in [(&usual, &mut heard), (&growing, &mut seldom)] {
        hub.publisher().send("still there");
        assert_eq!(subscriber.messages(1), ["still there"]);
    }
}
