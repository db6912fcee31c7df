//! No byte of a message can forge a field or an event, and none is lost.

use serde_json::json;

use crate::over_http1_and_http2;
use crate::support::{Http, Hub};

over_http1_and_http2!(
    hostile_messages_arrive_as_they_are,
    random_messages_arrive_as_they_are,
    a_message_of_a_mebibyte_arrives_whole,
);

/// What any client sees of a message: line ends of every kind are LF (WHATWG HTML, 9.2.6).
fn as_seen(message: &str) -> String {
    message.replace("\r\n", "\n").replace('\r', "\n")
}

fn hostile_messages_arrive_as_they_are(http: Http) {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().over(http).open();
    let mut publisher = hub.publisher();
    for message in [
        "",
        " ",
        " leading space",
        ": leading colon",
        "trailing newline\n",
        "\n\n\n",
        "\r",
        "\r\n\r\n",
        "\n\r",
        "a\rid: 9-9\rdata: forged\r\rdata: forged",
        "a\nid: 9-9\ndata: forged\n\ndata: forged",
        "event: forged\r\n\r\nretry: 1\r\n\r\n",
        "data: data: data",
        "\u{2028}\u{2029}\u{85}\u{b}\u{c}\u{1c}\u{1e}",
        "\u{feff}byte order mark",
        "\0",
        "a\0b",
        "<img src=x onerror=alert(1)>",
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "é😀\u{10ffff}",
    ] {
        let id = publisher.send(message);
        let event = subscriber.next();
        assert_eq!((event.id, event.kind), (id, None));
        assert_eq!(event.data, as_seen(message), "{message:?}");
    }
    assert_eq!(subscriber.retries.len(), 1, "a message has set the time to reconnect");
}

fn random_messages_arrive_as_they_are(http: Http) {
    const ALPHABET: [&str; 16] = [
        "\r", "\n", "\r\n", ":", " ", "data", "id", "event", "retry", "\u{2028}", "\u{feff}", "\0",
        "x", "é", "😀", "0",
    ];
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().over(http).open();
    let mut publisher = hub.publisher();
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for round in 0..10 {
        let messages: Vec<String> = (0..100)
            .map(|_| {
                (0..random.usize(..24)).map(|_| *random.choice(&ALPHABET[..]).unwrap()).collect()
            })
            .collect();
        let ids = publisher.batch(messages.iter().map(|message| json!({ "message": message })));
        for (id, message) in ids.into_iter().zip(messages) {
            let event = subscriber.next();
            assert_eq!((event.id, event.data), (id, as_seen(&message)), "round {round}");
        }
    }
    assert_eq!(subscriber.retries.len(), 1, "a message has set the time to reconnect");
}

fn a_message_of_a_mebibyte_arrives_whole(http: Http) {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().over(http).open();
    let mut publisher = hub.publisher();
    let mut random = fastrand::Rng::with_seed(7);
    let lines: String =
        (0..1 << 20).map(|_| *random.choice(b"abc\n ".as_slice()).unwrap() as char).collect();
    for message in ["x".repeat(1 << 20), lines] {
        publisher.send(&message);
        assert!(subscriber.next().data == message, "a large message was changed");
    }
    publisher.send("small");
    assert_eq!(subscriber.next().data, "small");
}
