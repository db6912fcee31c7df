//! One address cannot take all connections, nor open them without end.

use crate::support::{Connection, Hub};

const ELSEWHERE: &str = "127.0.0.2";

fn is_served(hub: &Hub, source: &str) -> Option<Connection> {
    let mut connection = Connection::open_from(source, hub.address());
    connection.try_send("GET /healthz HTTP/1.1\r\nHost: hub.test\r\n\r\n").ok()?;
    let answer = String::from_utf8_lossy(&connection.at_most(12)).into_owned();
    (answer == "HTTP/1.1 200").then_some(connection)
}

#[test]
fn no_address_takes_all_the_connections() {
    let hub = Hub::alone(&["--max-connections-per-address", "4"]);
    let stream = || {
        let mut connection = Connection::open_from(ELSEWHERE, hub.address());
        connection.send("GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n");
        assert_eq!(connection.head().status, 200);
        connection
    };
    // Two carry streams; they are connections too.
    let streams = [stream(), stream()];
    let idle = [(); 2].map(|()| is_served(&hub, ELSEWHERE).expect("there is room"));
    assert!(is_served(&hub, ELSEWHERE).is_none());
    let refused = hub.metrics().labelled("fanfare_refused_total", "\"address_connections\"");
    assert_eq!(refused, 1.0);
    assert!(is_served(&hub, "127.0.0.3").is_some(), "another is not to blame");
    drop(streams);
    hub.await_metrics("there is room again", |_| is_served(&hub, ELSEWHERE).is_some());
    drop(idle);
}

#[test]
fn no_address_opens_connections_without_end() {
    let hub = Hub::alone(&["--connection-rate", "5"]);
    let served = (0..1000).take_while(|_| is_served(&hub, ELSEWHERE).is_some()).count();
    assert!((10..1000).contains(&served), "{served} in a row");
    assert!(is_served(&hub, "127.0.0.3").is_some(), "another is not to blame");
    assert!(hub.metrics().labelled("fanfare_refused_total", "\"connection_rate\"") >= 1.0);
}

#[test]
fn a_proxy_is_not_one_address() {
    let hub = Hub::alone(&[
        "--trusted-proxy",
        ELSEWHERE,
        "--max-connections-per-address",
        "2",
        "--connection-rate",
        "1",
    ]);
    let held: Vec<_> = (0..20).map(|_| is_served(&hub, ELSEWHERE).expect("a proxy")).collect();
    assert_eq!(held.len(), 20);
}

#[test]
fn an_idle_crowd_does_not_displace_others() {
    let hub = Hub::alone(&["--max-idle", "8"]);
    let mut honest = Connection::open_from("127.0.0.3", hub.address());
    assert_eq!(honest.request("GET", "/healthz", &[], b"").status, 200);
    for _ in 0..4 {
        let crowd = [(); 8].map(|()| is_served(&hub, ELSEWHERE).expect("there is room"));
        hub.await_metrics("some have left", |now| now.sum("fanfare_idle_connections") <= 8.0);
        drop(crowd);
    }
    assert!(hub.metrics().labelled("fanfare_refused_total", "reason=\"idle\"") >= 1.0);
    assert_eq!(honest.request("GET", "/healthz", &[], b"").status, 200);
}
