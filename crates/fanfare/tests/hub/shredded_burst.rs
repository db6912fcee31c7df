//! A burst over HTTP/2 costs both ends a frame for each of its events, and a client that does not read at
//! once takes it for an attack: Rust's h2 closes a connection on which many small frames wait.

use h2::{RecvStream, client};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::support::{FrameConnection, Hub, TEST_TIMEOUT};

/// Nothing but events is sent.
const QUIET: [&str; 2] = ["--heartbeat", "1h"];

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn burst(hub: &Hub, events: usize) {
    hub.publisher().batch((0..events).map(|number| json!({ "message": format!("no {number}") })));
}

#[test]
fn a_burst_shares_frames() {
    const EVENTS: usize = 1000;
    let hub = Hub::alone(&QUIET);
    let mut stream = FrameConnection::subscribe(&hub);
    burst(&hub, EVENTS);
    let (mut frames, mut come) = (0, Vec::new());
    while text(&come).matches("data: no ").count() < EVENTS {
        come.extend_from_slice(&stream.data());
        frames += 1;
    }
    assert!(frames <= EVENTS / 20, "{EVENTS} events in {frames} frames");
}

#[test]
fn a_single_event_waits_for_no_other() {
    let hub = Hub::alone(&QUIET);
    let mut stream = FrameConnection::subscribe(&hub);
    let mut publisher = hub.publisher();
    for number in 0..50 {
        let message = format!("no {number}");
        publisher.send(&message);
        // Nothing else is published before it has come.
        let mut come = stream.data();
        while !text(&come).contains(&message) {
            come.extend_from_slice(&stream.data());
        }
    }
}

/// Reads until this many events of a burst have come; the error is how the stream ended before that.
async fn read(body: &mut RecvStream, events: usize) -> Result<(), String> {
    // A frame may end amid an event: where a window is full.
    let mut come = Vec::new();
    while text(&come).matches("data: no ").count() < events {
        let next = timeout(TEST_TIMEOUT, body.data()).await.expect("something comes");
        let bytes = next.ok_or("it ended")?.map_err(|error| error.to_string())?;
        let _ = body.flow_control().release_capacity(bytes.len());
        come.extend_from_slice(&bytes);
    }
    Ok(())
}

#[test]
fn a_client_that_pauses_survives_a_burst() {
    const STREAMS: usize = 10;
    const EVENTS: usize = 100;
    let hub = Hub::alone(&["--heartbeat", "1h", "--write-timeout", "1s"]);
    let address = hub.address();
    // The connection is driven while its streams are not read.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpStream::connect(address).await.unwrap();
        let (mut requests, connection) = client::handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let request =
            |path| http::Request::get(format!("http://{address}{path}")).body(()).unwrap();
        let mut bodies = Vec::new();
        for _ in 0..STREAMS {
            requests = requests.ready().await.unwrap();
            let (answer, _) = requests.send_request(request("/sse/events"), true).unwrap();
            bodies.push(answer.await.unwrap().into_body());
        }
        for _ in 0..5 {
            burst(&hub, EVENTS);
            // While one is read, the others' events wait.
            for body in &mut bodies {
                assert_eq!(read(body, EVENTS).await, Ok(()));
            }
        }
        // All that its windows hold: what does not fit waits at the hub, for as long as the hub lets it.
        for _ in 0..100 {
            burst(&hub, EVENTS);
        }
        // A seat is given back before it is counted who was closed.
        hub.await_metrics("the hub to give them up", |now| {
            now.sum("fanfare_subscribers") == 0.0
                && now.sum("fanfare_closed_total") == STREAMS as f64
        });
        drop(bodies);
        requests = requests.ready().await.expect("the connection is still there");
        let (answer, _) = requests.send_request(request("/healthz"), true).unwrap();
        assert_eq!(answer.await.expect("the connection is still there").status(), 200);
        assert!(!connection.is_finished());
    });
    assert_eq!(hub.metrics().labelled("fanfare_refused_total", "\"http2_flood\""), 0.0);
}
