//! Whatever happens to the Redis of two nodes, or to the nodes, or between them: nobody loses
//! anything in silence, publishers are told what became of their events, and the hub comes back by
//! itself.
//!
//! Invariant: *no silent loss*.

use std::collections::HashSet;

use fanfare_testkit::RedisServer;
use serde_json::json;

use crate::support::{Hub, Response, Setup};

mod no_witness;
mod standstill;
mod witness;

fn node(url: &str) -> Hub {
    node_with(url, &[])
}

fn node_with(url: &str, arguments: &[&str]) -> Hub {
    Setup::new(&[&["--redis", url, "--heartbeat", "200ms"], arguments].concat()).own_log().start()
}

/// Two nodes, and what they share.
fn pair(options: &[&str]) -> (RedisServer, [Hub; 2]) {
    let redis = RedisServer::start(options);
    let nodes = [node(&redis.url()), node(&redis.url())];
    (redis, nodes)
}

fn await_ready(node: &Hub, ready: bool) {
    node.await_metrics("readiness", |now| now.sum("fanfare_ready") == f64::from(u8::from(ready)));
}

/// Why a node says that it is not ready.
fn unready(node: &Hub) -> String {
    let answer = node.get("/readyz");
    assert_eq!(answer.status, 503, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["status"], "not ready");
    answer["reason"].as_str().expect("it says why").to_owned()
}

/// The messages that are left.
fn left(redis: &RedisServer) -> HashSet<String> {
    let all = redis.command(&["XRANGE", "{fanfare}:events", "-", "+"]);
    all.split(' ').map(str::to_owned).collect()
}

fn post(node: &Hub, message: &str) -> Response {
    node.publisher().post_json(json!({ "message": message }).to_string())
}
