//! Heads that are too large, or no heads at all, get a clear answer and leave nothing behind.

use h2::client;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::support::{Hub, Metrics};

/// Waits until so many are counted: what never reached a handler is counted after its answer.
fn await_refused(hub: &Hub, reason: &str, count: f64) {
    let label = format!("reason=\"{reason}\"");
    let counted = |metrics: &Metrics| metrics.labelled("fanfare_refused_total", &label);
    let metrics = hub.await_metrics(reason, |metrics| counted(metrics) >= count);
    assert_eq!(counted(&metrics), count, "{reason}");
}

#[test]
fn a_huge_header_is_refused() {
    let hub = Hub::alone(&["--max-head", "16KiB"]);
    let before = hub.resident_memory();
    let mut connection = hub.connect();
    connection.send("GET /healthz HTTP/1.1\r\nHost: hub.test\r\nX-Large: ");
    let block = "x".repeat(64 << 10);
    let sent = (0..1024).take_while(|_| connection.try_send(&block).is_ok()).count();
    let response = connection.response("GET");
    assert_eq!(response.status, 431, "after {sent} blocks: {response:?}");
    assert!(sent < 1024, "64 MiB of one header were read");
    await_refused(&hub, "head_too_large", 1.0);
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 16 << 20, "{growth} bytes more after a refused head");
}

#[test]
fn a_thousand_headers_are_too_many() {
    let hub = Hub::alone(&[]);
    let mut connection = hub.connect();
    let headers: String = (0..1000).map(|number| format!("X-{number}: {number}\r\n")).collect();
    connection.send(format!("GET /healthz HTTP/1.1\r\nHost: hub.test\r\n{headers}\r\n"));
    assert_eq!(connection.response("GET").status, 431);
}

#[test]
fn a_query_of_thousands_of_parameters_is_refused_whoever_asks() {
    let endless = "&".repeat(32_000);
    for access in [&[][..], &["--publish-key", "a-key-of-enough-characters-0123456789"]] {
        let hub = Hub::alone(access);
        let response = hub.get(&format!("/sse/events?{endless}"));
        assert_eq!(response.status, 422, "{response:?}");
        let detail = response.json()["detail"][0]["msg"].as_str().unwrap().to_owned();
        assert!(detail.contains("512 parameters"), "{detail}");
        await_refused(&hub, "invalid_subscribe", 1.0);
    }
    let hub = Hub::alone(&[]);
    let topics: Vec<_> = (0..256).map(|number| format!("topic={number}")).collect();
    let mut as_many_as_it_may_name = hub.subscribe(&topics.join("&"));
    hub.publisher().post_json(r#"{"topic": "255", "message": "x"}"#);
    assert_eq!(as_many_as_it_may_name.messages(1), ["x"]);
}

#[test]
fn a_huge_target_is_refused() {
    let hub = Hub::alone(&["--max-target", "1KiB", "--max-head", "8KiB"]);
    let path = |length: usize| format!("/sse/events?topic={}", "x".repeat(length));
    let response = hub.get(&path(2 << 10));
    assert_eq!(response.status, 414, "{response:?}");
    assert!(response.json()["detail"].as_str().unwrap().contains("1024 bytes"));
    assert_eq!(hub.get(&path(16 << 10)).status, 431);
    await_refused(&hub, "target_too_long", 1.0);
    await_refused(&hub, "head_too_large", 1.0);
    drop(hub.subscribe(&format!("topic={}", "x".repeat(256))));
}

#[test]
fn a_subscription_with_the_most_topics_is_accepted() {
    let hub = Hub::alone(&[]);
    let topics: Vec<_> = (0..256).map(|number| format!("topic=orders/{number:0>64}")).collect();
    drop(hub.subscribe(&topics.join("&")));
}

#[test]
fn garbage_is_answered_and_harmless() {
    let hub = Hub::alone(&[]);
    let mut subscriber = hub.subscribe("");
    for garbage in [
        &b"\0\0\0\0\0\0\0\0\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost:\0\r\n\r\n",
        b"POST /sse/send HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /sse/send HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ] {
        let mut connection = hub.connect();
        connection.send(garbage);
        let answer = connection.rest();
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{garbage:?}: {answer:?}");
    }
    await_refused(&hub, "malformed", 6.0);
    // Not even the beginning of a frame.
    let mut connection = hub.connect();
    connection.send([&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 64]].concat());
    connection.rest();
    hub.publisher().send("unharmed");
    assert_eq!(subscriber.messages(1), ["unharmed"]);
}

#[test]
fn an_endless_chunk_size_is_refused() {
    let hub = Hub::alone(&[]);
    let mut connection = hub.connect();
    connection.send(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    );
    let block = "x".repeat(64 << 10);
    let sent = (0..1024).take_while(|_| connection.try_send(&block).is_ok()).count();
    assert_eq!(connection.response("POST").status, 400, "after {sent} blocks");
}

#[test]
fn a_large_http2_header_costs_its_stream_only() {
    let hub = Hub::alone(&["--max-head", "16KiB"]);
    let address = hub.address();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let socket = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        for (size, wanted) in [(20 << 10, Some(431)), (16, Some(200)), (1 << 20, None)] {
            let request = http::Request::get(format!("http://{address}/healthz"))
                .header("x-large", "x".repeat(size))
                .body(())
                .unwrap();
            let mut requests = requests.clone().ready().await.unwrap();
            let answer = requests.send_request(request, true).unwrap().0.await;
            assert_eq!(answer.ok().map(|answer| answer.status().as_u16()), wanted, "{size}");
        }
    });
    assert_eq!(hub.get("/healthz").status, 200);
}

#[test]
fn a_request_without_exactly_one_host_is_refused() {
    let hub = Hub::alone(&[]);
    for (lines, status) in [
        ("HTTP/1.1\r\n\r\n", 400),
        ("HTTP/1.1\r\nHost: hub.test\r\nHost: localhost\r\n\r\n", 400),
        ("HTTP/1.1\r\nHost: hub.test\r\n\r\n", 200),
        ("HTTP/1.0\r\n\r\n", 200),
    ] {
        let mut connection = hub.connect();
        connection.send(format!("GET /healthz {lines}"));
        assert_eq!(connection.response("GET").status, status, "{lines:?}");
    }
    await_refused(&hub, "malformed", 2.0);
}
