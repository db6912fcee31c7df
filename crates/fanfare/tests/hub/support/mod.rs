//! What the tests of the hub share: the hub as a process, and clients that show exact bytes.
//!
//! Nothing here sleeps for luck: every wait is for a condition, under one generous [`TEST_TIMEOUT`],
//! and fails with what was seen instead.

mod authority;
mod ca;
mod cable;
mod deaf;
mod frames;
mod heard;
mod http1;
mod http2;
mod hub;
pub(crate) mod issuer;
mod key_server;
mod ledger;
mod line_stream;
mod metrics;
mod nginx;
mod node;
pub(crate) mod pebble;
mod profile;
mod publisher;
mod set_on_drop;
mod subscriber;
mod successor;
mod tls;
mod traffic;
mod unread;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use authority::{Authority, Lifetime};
pub(crate) use ca::Ca;
pub(crate) use cable::Cable;
pub(crate) use deaf::Deaf;
pub(crate) use frames::{FrameConnection, flagged, frame};
pub(crate) use http1::{Connection, Response};
pub(crate) use hub::{Hub, Setup, raise_open_files};
pub(crate) use key_server::KeyServer;
pub(crate) use ledger::Ledger;
pub(crate) use line_stream::LineStream;
pub(crate) use metrics::Metrics;
pub(crate) use nginx::nginx_before;
pub(crate) use publisher::Publisher;
pub(crate) use set_on_drop::SetOnDrop;
pub(crate) use subscriber::{Event, Http, Subscriber, Subscription, seq};
pub(crate) use tls::{
    Files, Identity, certificate_shown, name as certificate_name, trusting, trusting_over,
};
pub(crate) use traffic::Traffic;
pub(crate) use unread::Unread;

/// How long anything may take before a test gives up. Nothing that works comes near it.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until something is so.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < TEST_TIMEOUT, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the same tests over HTTP/1.1, where the hub takes the socket over, and over HTTP/2, where
/// a response body feeds the stream: the rules are the same.
#[macro_export]
macro_rules! over_http1_and_http2 {
    ($($test:ident),+ $(,)?) => {
        mod over_http1 {
            $(#[test]
            fn $test() {
                super::$test($crate::support::Http::One);
            })+
        }
        mod over_http2 {
            $(#[test]
            fn $test() {
                super::$test($crate::support::Http::Two);
            })+
        }
    };
}
