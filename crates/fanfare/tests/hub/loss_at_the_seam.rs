//! Between replay and live delivery nothing is lost and nothing comes twice, whenever one
//! reconnects.
//!
//! Invariant: *one sequence*, *once*.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::over_http1_and_http2;
use crate::support::{Http, Hub, Ledger};

over_http1_and_http2!(
    reconnects_under_a_publisher_that_never_pauses,
    reconnects_that_outlive_the_window,
);

fn reconnects_under_a_publisher_that_never_pauses(http: Http) {
    reconnect(http, &[]);
}

fn reconnects_that_outlive_the_window(http: Http) {
    reconnect(http, &["--window-count", "32"]);
}

/// Eight clients each count 3,000 messages, leaving at random points and coming back.
fn reconnect(http: Http, arguments: &[&str]) {
    const MESSAGES: u32 = 3000;
    let hub = Hub::start(arguments);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|seed| {
                let hub = &hub;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut ledger = Ledger::default();
                    let mut subscription = hub.subscription().over(http);
                    let mut entered = 0;
                    let mut connections = 0;
                    while entered < MESSAGES {
                        let mut subscriber = subscription.open();
                        connections += 1;
                        for _ in 0..random.u64(1..200) {
                            ledger.enter(&subscriber.next());
                            entered += 1;
                        }
                        // Whatever else has arrived, perhaps half an event, is thrown away.
                        let id = subscriber.last_event_id();
                        subscription = hub.subscription().over(http).after(id);
                    }
                    connections
                })
            })
            .collect();
        let publisher = scope.spawn(|| {
            let mut publisher = hub.publisher();
            let mut next = 0;
            while !done.load(Ordering::Relaxed) {
                // Now one by one, now in a batch.
                if next % 64 == 0 {
                    publisher.count("default", next..next + 20);
                    next += 20;
                } else {
                    publisher.send(&next.to_string());
                    next += 1;
                }
                publisher.send_to("other", "noise");
            }
        });
        let ends: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        publisher.join().unwrap();
        for connections in ends {
            assert!(connections.unwrap() > 10, "hardly any reconnect was tested");
        }
    });
}
