//! nginx, as `deploy/nginx.conf` sets it up, in front of three nodes on one Redis that
//! `deploy/redis.conf` sets up: one hub, whichever node is asked.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fanfare_testkit::{Nginx, RedisServer};
use serde_json::json;

use crate::support::{Connection, Hub, Publisher, Setup, Subscription, TEST_TIMEOUT, nginx_before};

struct Site {
    nginx: Nginx,
    nodes: [Hub; 3],
    _redis: RedisServer,
}

impl Site {
    fn start() -> Self {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/redis.conf");
        let redis = RedisServer::start(&[config.to_str().unwrap()]);
        let url = redis.url();
        let node = || Setup::new(&["--redis", &url, "--drain", "0s"]).own_log().start();
        let nodes = [node(), node(), node()];
        Self { nginx: nginx_before(&nodes), nodes, _redis: redis }
    }

    fn publisher(&self) -> Publisher {
        Publisher::new(self.nginx.address())
    }

    fn subscription(&self) -> Subscription {
        Subscription::new(self.nginx.address())
    }

    fn status_of(&self, path: &str) -> u16 {
        Connection::open(self.nginx.address()).request("GET", path, &[], b"").status
    }

    /// The node that serves the one stream there is.
    fn serving(&mut self) -> &mut Hub {
        let begun = Instant::now();
        loop {
            let serves = |node: &Hub| node.metrics().sum("fanfare_subscribers") == 1.0;
            if let Some(n) = self.nodes.iter().position(serves) {
                return &mut self.nodes[n];
            }
            assert!(begun.elapsed() < TEST_TIMEOUT, "no node serves the stream");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn no_event_is_held_back() {
    let site = Site::start();
    let mut subscriber = site.subscription().query("topic=a").open();
    // No second event pushes the first along.
    for n in 0..5 {
        let id = site.publisher().send_to("a", &n.to_string());
        let event = subscriber.next();
        assert_eq!((event.id, event.data), (id, n.to_string()));
    }
}

#[test]
fn nothing_is_lost_when_a_node_dies() {
    let mut site = Site::start();
    let mut subscriber = site.subscription().open();
    let mut publisher = site.publisher();
    for n in 0..10 {
        publisher.send(&n.to_string());
        assert_eq!(subscriber.next().data, n.to_string());
    }
    let node = site.serving();
    node.signal(rustix::process::Signal::KILL);
    node.wait();
    let last = subscriber.last_event_id().to_owned();
    // A node that lives is asked, whichever was to be. Only what was on its way to the dead one may be
    // refused: its publisher sends it again.
    for n in 10..20 {
        let n = n.to_string();
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", &n)];
        let body = json!({ "message": n }).to_string();
        while publisher.post(&headers, &body).status != 200 {}
    }
    let mut subscriber = site.subscription().after(&last).open();
    for n in 10..20 {
        let event = subscriber.next();
        assert!(!event.is_gap(), "{event:?}");
        assert_eq!(event.data, n.to_string());
    }
}

#[test]
fn subscribers_of_a_node_that_leaves_go_on() {
    let mut site = Site::start();
    let mut subscriber = site.subscription().open();
    let id = site.publisher().send("before");
    assert_eq!(subscriber.next().id, id);
    let node = site.serving();
    node.terminate();
    assert!(subscriber.until_closed().is_empty());
    assert!(node.wait().success());
    site.publisher().send("after");
    let mut subscriber = site.subscription().after(&id).open();
    assert_eq!(subscriber.next().data, "after");
}

#[test]
fn the_proxy_opens_the_streams_only() {
    let site = Site::start();
    assert_eq!(site.status_of("/sse/"), 200);
    assert_eq!(site.status_of("/readyz"), 200, "for this machine");
    assert_eq!(site.status_of("/sse/console"), 403);
    assert_eq!(site.status_of("/sse/subscribers"), 403);
    assert_eq!(site.status_of("/metrics"), 404);
    let body = json!({ "message": "x".repeat(4 << 20) }).to_string();
    assert_eq!(site.publisher().post_json(body).status, 413, "by the hub, not by nginx");
}
