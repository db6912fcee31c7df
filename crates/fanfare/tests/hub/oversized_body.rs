//! A body over the limit is refused before it fills the memory, however it is framed.
//!
//! Invariant: *bounded*.

use serde_json::json;

use crate::support::Hub;

const TOO_LARGE: u16 = 413;

#[test]
fn a_body_that_announces_too_much_is_refused_unread() {
    let hub = Hub::alone(&["--max-message", "1024"]);
    let mut connection = hub.connect();
    connection.send(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Content-Length: 1000000000\r\n\r\n{\"message\": \"",
    );
    let response = connection.response("POST");
    assert_eq!(response.status, TOO_LARGE, "{response:?}");
    assert!(response.json()["detail"].is_string(), "{response:?}");
}

#[test]
fn a_chunked_body_without_end_is_refused_in_bounded_memory() {
    for content_type in ["application/json", "application/x-ndjson"] {
        let hub = Hub::alone(&["--max-message", "1024"]);
        let before = hub.resident_memory();
        let mut connection = hub.connect();
        connection.send(format!(
            "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: {content_type}\r\n\
             Transfer-Encoding: chunked\r\n\r\nd\r\n{{\"message\": \"\r\n"
        ));
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let sent = (0..2048).take_while(|_| connection.try_send(&chunk).is_ok()).count();
        let response = connection.response("POST");
        assert_eq!(response.status, TOO_LARGE, "after {sent} chunks: {response:?}");
        let growth = hub.resident_memory().saturating_sub(before);
        assert!(growth < 32 << 20, "{growth} bytes more after a refused body");
    }
}

#[test]
fn a_body_of_millions_of_values_does_not_swell() {
    let hub = Hub::alone(&[]);
    let mut publisher = hub.publisher();
    publisher.send("warm");
    let before = hub.peak_memory();
    let zeros = "0,".repeat(3_000_000);
    let names: String = (0..400_000).map(|number| format!(r#""{number}":0,"#)).collect();
    for body in [
        format!(r#"{{"json":[{zeros}0]}}"#),
        format!(r#"{{{names}"json":0}}"#),
        format!(r#"{{"message":"","topics":[{}"a"]}}"#, r#""a","#.repeat(400_000)),
    ] {
        let response = publisher.post_json(body);
        assert_eq!(response.status, TOO_LARGE, "{response:?}");
        let detail = response.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("JSON values") && detail.contains("`message`"), "{detail}");
    }
    let growth = hub.peak_memory().saturating_sub(before);
    assert!(growth < 64 << 20, "{growth} bytes for bodies of 6 MB");
    // As a text it is taken, and so is a list that is as long as a message may be.
    let response = publisher.post_json(json!({ "message": &zeros[..1 << 20] }).to_string());
    assert_eq!(response.status, 200, "{response:?}");
    let list = format!("[{}0]", "12345678901,".repeat(80_000));
    assert_eq!(publisher.post_json(format!(r#"{{"json":{list}}}"#)).status, 200);
}

#[test]
fn a_message_one_byte_over_the_limit_is_one_too_many() {
    let hub = Hub::alone(&["--max-message", "1024"]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    let largest = "x".repeat(1024);
    publisher.send(&largest);
    let escaped = "\\u0078".repeat(1024);
    let response = publisher.post_json(format!("{{\"message\": \"{escaped}\"}}"));
    assert_eq!(response.status, 200, "however it is escaped: {response:?}");
    let response = publisher.post_json(json!({ "message": "x".repeat(1025) }).to_string());
    assert_eq!(response.status, TOO_LARGE, "{response:?}");
    hub.publisher().send("after");
    assert_eq!(subscriber.messages(3), [largest.as_str(), largest.as_str(), "after"]);
}

#[test]
fn a_refused_body_is_sent_back_in_part() {
    let hub = Hub::alone(&[]);
    let body = "\u{1}".repeat(4 << 20);
    let mut publisher = hub.publisher();
    for content_type in ["text/plain", "application/json"] {
        let text = if content_type == "text/plain" {
            body.clone()
        } else {
            format!("[{}1]", "[],".repeat(1 << 16))
        };
        let response = publisher.post(&[("Content-Type", content_type)], &text);
        assert_eq!(response.status, 422);
        assert!(response.body.len() < 8192, "{} bytes of answer", response.body.len());
        assert!(response.text().contains('…'), "it says that something is left out");
    }
    let query = format!("/sse/events?envelope={}", "%01".repeat(10_000));
    let response = hub.get(&query);
    assert_eq!(response.status, 422);
    assert!(response.body.len() < 32 * 1024, "{} bytes of answer", response.body.len());
}

#[test]
fn bodies_in_pieces_of_one_byte_take_little_more() {
    let hub = Hub::alone(&[]);
    let before = hub.peak_memory();
    let pieces = "1\r\nx\r\n".repeat(300_000);
    let mut held: Vec<_> = (0..10).map(|_| hub.connect()).collect();
    std::thread::scope(|scope| {
        for connection in &mut held {
            let pieces = &pieces;
            scope.spawn(move || {
                connection.send(
                    "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
                     Transfer-Encoding: chunked\r\n\r\n",
                );
                connection.send(pieces);
            });
        }
    });
    for mut connection in held {
        connection.send("0\r\n\r\n");
        assert_eq!(connection.response("POST").status, 422);
    }
    let growth = hub.peak_memory().saturating_sub(before);
    assert!(growth < 48 << 20, "{growth} bytes more for bodies of 3 MB");
}
