//! What is older than the window comes from the log, and joins live delivery without a seam.
//!
//! Invariant: *one sequence*.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::over_http1_and_http2;
use crate::support::{Http, Hub, Ledger, SetOnDrop};

over_http1_and_http2!(the_log_replays_what_the_window_has_forgotten);

const SMALL_WINDOW: &[&str] = &["--window-count", "16", "--retain-count", "100000"];

fn the_log_replays_what_the_window_has_forgotten(http: Http) {
    let hub = Hub::start(SMALL_WINDOW);
    let mut publisher = hub.publisher();
    let start = publisher.send("start");
    publisher.count("default", 0..5000);
    publisher.count("other", 0..1000);
    publisher.count("default", 5000..6000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // The head moves on while they catch up.
        scope.spawn(|| {
            let mut next = 6000;
            while !done.load(Ordering::Relaxed) {
                publisher.send(&next.to_string());
                next += 1;
            }
        });
        let _done = SetOnDrop(&done);
        let mut subscribers: Vec<_> =
            (0..10).map(|_| hub.subscription().over(http).after(&start).open()).collect();
        for subscriber in &mut subscribers {
            let mut ledger = Ledger::beginning_with(0);
            while ledger.next() < 6500 {
                ledger.enter(&subscriber.next());
            }
        }
    });
}

#[test]
fn a_rare_topic_is_found_far_back() {
    let hub = Hub::start(SMALL_WINDOW);
    let mut publisher = hub.publisher();
    let start = publisher.send("start");
    publisher.send_to("rare", "first");
    publisher.count("default", 0..20_000);
    publisher.send_to("rare", "second");
    publisher.count("default", 20_000..40_000);
    let mut subscriber = hub.subscription().query("topic=rare").after(&start).open();
    assert_eq!(subscriber.messages(2), ["first", "second"]);
    publisher.send_to("rare", "third");
    assert_eq!(subscriber.messages(1), ["third"]);
}

#[test]
fn a_window_by_bytes_is_no_loss_either() {
    let hub = Hub::start(&["--window-bytes", "65536"]);
    let mut publisher = hub.publisher();
    let start = publisher.send("start");
    let large = "x".repeat(10_000);
    for _ in 0..10 {
        publisher.batch((0..20).map(|_| serde_json::json!({ "message": large })));
    }
    let mut subscriber = hub.subscription().after(&start).open();
    assert!(subscriber.messages(200).iter().all(|message| *message == large));
    publisher.send(&"y".repeat(200_000));
    assert_eq!(subscriber.messages(1)[0].len(), 200_000, "larger than the whole window");
}
