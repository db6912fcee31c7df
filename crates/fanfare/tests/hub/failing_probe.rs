//! An orchestrator, which knows a hub by an address that nobody could foresee, takes it for dead.

use crate::support::{Hub, Setup};

fn status(hub: &Hub, path: &str, host: &str) -> u16 {
    let mut connection = hub.connect();
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    connection.response("GET").status
}

#[test]
fn a_probe_by_address_is_answered() {
    let named = ["--allow-host", "events.example.com"];
    let key = ["--publish-key", "the-key-to-publish"];
    for settings in [&named[..], &[&named[..], &key].concat(), &[&named[..], &["--open"]].concat()]
    {
        let hub = Setup::new(settings).unnamed().start();
        for host in ["10.0.0.7:8000", "[fd00::7]:8000", "hub-0.hub.svc.cluster.local", "x.example"]
        {
            assert_eq!(status(&hub, "/healthz", host), 200, "{settings:?} {host}");
            assert_eq!(status(&hub, "/readyz", host), 200, "{settings:?} {host}");
        }
        // Figures are asked for by address, and not under a name that a site may have lead here.
        assert_eq!(status(&hub, "/metrics", "10.0.0.7:8000"), 200, "{settings:?}");
        assert_eq!(status(&hub, "/metrics", "x.example"), 403, "{settings:?}");
        assert_eq!(status(&hub, "/metrics", "events.example.com"), 200, "{settings:?}");
        for path in ["/sse/", "/sse/events?topic=a*", "/openapi.json"] {
            assert_eq!(status(&hub, path, "10.0.0.7:8000"), 403, "{settings:?} {path}");
        }
    }
}
