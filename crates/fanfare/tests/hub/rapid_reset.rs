//! An HTTP/2 client that opens and resets streams, or never reads them, costs others nothing.

use h2::{Reason, client};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::support::{FrameConnection, Http, Hub, flagged, frame};

#[test]
fn a_storm_of_resets_stalls_nobody() {
    let hub = Hub::alone(&[]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    let address = hub.address();
    let attack = std::thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            for _ in 0..5 {
                let socket = TcpStream::connect(address).await.unwrap();
                let (requests, connection) = client::handshake(socket).await.unwrap();
                let connection = tokio::spawn(connection);
                for _ in 0..5_000 {
                    let Ok(mut requests) = requests.clone().ready().await else { break };
                    let request = http::Request::get(format!("http://{address}/sse/events"));
                    let request = request.body(()).unwrap();
                    let Ok((_, mut stream)) = requests.send_request(request, true) else { break };
                    stream.send_reset(Reason::CANCEL);
                    tokio::task::yield_now().await;
                }
                drop(requests);
                let _ = connection.await;
            }
        });
    });
    for number in 0..500 {
        publisher.send(&number.to_string());
    }
    let numbers: Vec<_> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(subscriber.messages(500), numbers);
    attack.join().unwrap();
    hub.await_metrics("all resets to be dealt with", |metrics| {
        metrics.sum("fanfare_subscribers") == 1.0
    });
    let floods = hub.metrics().labelled("fanfare_refused_total", "reason=\"http2_flood\"");
    assert!(floods >= 1.0, "nobody was told to calm down");
}

#[test]
fn unread_streams_stay_bounded_in_memory() {
    let hub = Hub::alone(&["--write-timeout", "1s", "--window-bytes", "4MiB"]);
    let mut publisher = hub.publisher();
    publisher.send("warm");
    let unread = hub.subscription().over(Http::Two).open_many(100);
    let before = hub.resident_memory();
    let message = "x".repeat(64 << 10);
    for _ in 0..400 {
        publisher.send(&message);
    }
    // 100 streams, each of them 25 MiB behind.
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 96 << 20, "{growth} bytes more for streams that are not read");
    hub.await_metrics("the unread to be closed", |metrics| {
        metrics.sum("fanfare_subscribers") == 0.0
    });
    drop(unread);
}

#[test]
fn a_flood_of_control_frames_is_broken_off() {
    let hub = Hub::alone(&[]);
    let floods =
        [frame(6, 0, &[0; 8]), frame(4, 0, &[]), frame(2, 1, &[0, 0, 0, 3, 0]), frame(0xf, 0, &[])];
    for (number, flood) in floods.iter().enumerate() {
        let mut connection = hub.connect();
        connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        connection.send(frame(4, 0, &[]));
        let block = flood.repeat(100);
        let sent = (0..10_000).take_while(|_| connection.try_send(&block).is_ok()).count();
        assert!(sent < 10_000, "a million frames of {flood:?} were dealt with");
        connection.rest();
        hub.await_metrics("it is counted", |now| {
            now.labelled("fanfare_refused_total", "reason=\"http2_flood\"") == (number + 1) as f64
        });
    }
}

/// The beginning of a request whose body follows: `POST /sse/send` for hub.test (RFC 7541, 6).
fn post(flags: u8) -> Vec<u8> {
    let block = [&b"\x83\x86\x44\x09/sse/send\x41\x08hub.test"[..]].concat();
    flagged(1, flags, 1, &block)
}

#[test]
fn a_flood_of_empty_frames_is_broken_off() {
    let hub = Hub::alone(&[]);
    const END_HEADERS: u8 = 4;
    const PADDED: u8 = 8;
    let floods = [
        (post(END_HEADERS), flagged(0, 0, 1, b"")),
        (post(END_HEADERS), flagged(0, PADDED, 1, &[0])),
        (post(END_HEADERS), flagged(0, PADDED, 1, &[100; 101])),
        (post(0), flagged(9, 0, 1, b"")),
        // A header that is not indexed, of a letter each.
        (post(0), flagged(9, 0, 1, b"\x00\x01a\x01b")),
    ];
    for (number, (request, flood)) in floods.iter().enumerate() {
        let mut connection = hub.connect();
        connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        connection.send([frame(4, 0, &[]), request.clone()].concat());
        let block = flood.repeat(100);
        let sent = (0..10_000).take_while(|_| connection.try_send(&block).is_ok()).count();
        assert!(sent < 10_000, "a million frames of {flood:?} were dealt with");
        connection.rest();
        hub.await_metrics("it is counted", |now| {
            now.labelled("fanfare_refused_total", "reason=\"http2_flood\"") == (number + 1) as f64
        });
    }
}

#[test]
fn a_client_that_cancels_is_not_counted_as_a_flood() {
    let hub = Hub::alone(&["--log-level", "info,fanfare_http=debug"]);
    FrameConnection::subscribe(&hub).cancel_stream();
    // That is logged once it would have been counted; what the client said is a part of it.
    hub.await_log(
        "a connection ended in error error=http2 error error.sources=[connection error received",
    );
    assert_eq!(hub.metrics().sum("fanfare_refused_total"), 0.0);
}
