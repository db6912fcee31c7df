//! Everyone gets what they asked for: all of it, nothing else, in order.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::over_http1_and_http2;
use crate::support::{Http, Hub};

over_http1_and_http2!(
    topics_are_kept_apart,
    patterns_span_whole_segments,
    event_types_are_filtered,
    the_envelope_tells_where_an_event_came_from,
    a_sealed_envelope_has_nothing_outside_and_its_stream_an_id_from_the_start,
);

/// Subscribes, publishes every topic's own name to it and then `end` to `fence`.
fn received(http: Http, query: &str, topics: &[&str], fence: &str) -> Vec<String> {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().over(http).query(query).open();
    let mut publisher = hub.publisher();
    for topic in topics {
        publisher.send_to(topic, topic);
    }
    publisher.send_to(fence, "end");
    subscriber.until("end").into_iter().map(|event| event.data).collect()
}

fn topics_are_kept_apart(http: Http) {
    let topics = ["default", "a", "b", "a/b", "A", "a ", "é/ü", "https://example.com/x?y=1&z"];
    assert_eq!(received(http, "", &topics, "default"), ["default"]);
    assert_eq!(received(http, "topic=a", &topics, "a"), ["a"]);
    assert_eq!(received(http, "topic=a&topic=b&topic=a", &topics, "b"), ["a", "b"]);
    assert_eq!(received(http, "topic=a%2Fb", &topics, "a/b"), ["a/b"]);
    assert_eq!(received(http, "topic=a/b", &topics, "a/b"), ["a/b"]);
    assert_eq!(received(http, "topic=a+", &topics, "a "), ["a "]);
    assert_eq!(received(http, "topic=%C3%A9/%C3%BC&unknown=1", &topics, "é/ü"), ["é/ü"]);
    let url = "topic=https%3A%2F%2Fexample.com%2Fx%3Fy%3D1%26z";
    assert_eq!(received(http, url, &topics, "https://example.com/x?y=1&z"), [topics[7]]);
}

fn patterns_span_whole_segments(http: Http) {
    let topics =
        ["default", "orders", "orders/1", "orders/1/items", "orders/2", "orders2", "x/orders/1"];
    assert_eq!(received(http, "topic=orders/*", &topics, "orders/z"), ["orders/1", "orders/2"]);
    assert_eq!(
        received(http, "topic=orders/**", &topics, "orders"),
        ["orders", "orders/1", "orders/1/items", "orders/2"]
    );
    assert_eq!(received(http, "topic=**", &topics, "z"), topics);
    assert_eq!(received(http, "topic=*", &topics, "z"), ["default", "orders", "orders2"]);
    assert_eq!(
        received(http, "topic=**/1", &topics, "1"),
        ["orders/1", "x/orders/1"],
        "`**` may stand anywhere"
    );
    assert_eq!(
        received(http, "topic=orders/*/items", &topics, "orders/z/items"),
        ["orders/1/items"]
    );
    assert_eq!(
        received(http, "topic=orders/*&topic=orders/1&topic=**/1", &topics, "1"),
        ["orders/1", "orders/2", "x/orders/1"],
        "an event that is wanted twice comes once"
    );
}

fn event_types_are_filtered(http: Http) {
    let hub = Hub::start(&[]);
    let subscribe = |query| hub.subscription().over(http).query(query).open();
    let mut all = subscribe("");
    let mut ticks = subscribe("event=tick");
    let mut untyped = subscribe("event=message");
    let mut two = subscribe("event=tick&event=message&event=never");
    let mut publisher = hub.publisher();
    for event in [
        json!({ "message": "1" }),
        json!({ "message": "2", "event": "tick" }),
        json!({ "message": "3", "event": "tock" }),
        json!({ "message": "4" }),
        json!({ "message": "end", "event": "tick" }),
        json!({ "message": "end" }),
    ] {
        publisher.publish(&event);
    }
    let data = |events: Vec<crate::support::Event>| -> Vec<(String, Option<String>)> {
        events.into_iter().map(|event| (event.data, event.kind)).collect()
    };
    let typed = |number: &str, kind: &str| (number.to_owned(), Some(kind.to_owned()));
    let plain = |number: &str| (number.to_owned(), None);
    assert_eq!(
        data(all.until("end")),
        [plain("1"), typed("2", "tick"), typed("3", "tock"), plain("4")]
    );
    assert_eq!(data(ticks.until("end")), [typed("2", "tick")]);
    assert_eq!(data(untyped.until("end")), [plain("1"), plain("4")]);
    assert_eq!(data(two.until("end")), [plain("1"), typed("2", "tick"), plain("4")]);
}

fn the_envelope_tells_where_an_event_came_from(http: Http) {
    let hub = Hub::start(&[]);
    let mut wrapped = hub.subscription().over(http).query("topic=**&envelope=json").open();
    let mut bare = hub.subscription().over(http).query("topic=**&envelope=none").open();
    let mut publisher = hub.publisher();
    let message = "a\r\nb\rc\u{2028}\"quoted\"\\ 😀\0";
    let id = publisher
        .publish(&json!({ "message": message, "topic": "orders/\"1\"", "event": "order.created" }));
    let event = wrapped.next();
    assert_eq!((&event.id, event.kind.as_deref()), (&id, Some("order.created")));
    assert!(!event.data.contains('\n'), "one line: {event:?}");
    let envelope: Value = serde_json::from_str(&event.data).unwrap();
    let fields = envelope.as_object().expect("an object");
    let names: BTreeSet<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["event", "message", "published_at", "topic"],
        "{envelope}"
    );
    assert_eq!(envelope["message"], message, "byte for byte, line ends included");
    assert_eq!(envelope["topic"], "orders/\"1\"");
    assert_eq!(envelope["event"], "order.created");
    assert!(!envelope["published_at"].is_null(), "{envelope}");
    assert_eq!(bare.next().id, id);

    publisher.send_to("t", "");
    let envelope: Value = serde_json::from_str(&wrapped.next().data).unwrap();
    assert_eq!((&envelope["message"], &envelope["topic"]), (&json!(""), &json!("t")));
    assert!(envelope["event"].is_null(), "an untyped event has no type: {envelope}");

    // From the log as well as live.
    let mut resumed =
        hub.subscription().over(http).query("topic=**&envelope=json").after("earliest").open();
    assert_eq!(resumed.next(), event);
}

fn a_sealed_envelope_has_nothing_outside_and_its_stream_an_id_from_the_start(http: Http) {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let before = publisher.send_to("t", "before");
    let sealed = "topic=**&envelope=sealed";
    let mut live = hub.subscription().over(http).query(sealed).open();
    let mut wrapped = hub.subscription().over(http).query("topic=**&envelope=json").open();
    let cursor = live.try_next_of_any_kind().expect("whole").expect("an event");
    assert_eq!((cursor.kind.as_deref(), &cursor.id), (Some("fanfare.cursor"), &before));

    let id = publisher.publish(&json!({ "message": "m", "topic": "t", "event": "made" }));
    let (event, outside) = (live.next(), wrapped.next());
    assert_eq!((event.kind.as_deref(), &event.id), (None, &id));
    assert_eq!((outside.kind.as_deref(), &outside.data), (Some("made"), &event.data));

    // Whoever has an id needs no other.
    let mut resumed = hub.subscription().over(http).query(sealed).after(&before).open();
    assert_eq!(resumed.next(), event);
    let mut lost = hub.subscription().over(http).query(sealed).after("nonsense").open();
    assert_eq!(lost.next().kind.as_deref(), Some("fanfare.gap"));
    let last = publisher.send_to("t", "last");
    assert_eq!(lost.next().id, last);
}

/// A selector as the query states it, and as the model understands it.
struct Wanted {
    topics: Vec<String>,
    types: Vec<&'static str>,
}

impl Wanted {
    const TYPES: [&str; 4] = ["message", "tick", "tock", "boom"];

    fn random(random: &mut fastrand::Rng, topics: &[String]) -> Self {
        let patterns = ["**", "*/1", "a/*", "b/**", "*/*/x", "**/x", "c/**/x", "*"];
        let count = random.usize(1..4);
        let names = (0..count).map(|_| match random.usize(..3) {
            0 => patterns[random.usize(..patterns.len())].to_owned(),
            _ => topics[random.usize(..topics.len())].clone(),
        });
        let topics = names.collect();
        let count = [0, 0, 1, 2][random.usize(..4)];
        let types = (0..count).map(|_| Self::TYPES[random.usize(..4)]).collect();
        Self { topics, types }
    }

    fn query(&self) -> String {
        let topics = self.topics.iter().map(|topic| format!("topic={topic}"));
        let types = self.types.iter().map(|kind| format!("event={kind}"));
        topics.chain(types).collect::<Vec<_>>().join("&")
    }

    /// By the definition of a pattern, segment by segment.
    fn wants(&self, topic: &str, kind: &str) -> bool {
        fn spans(pattern: &[&str], topic: &[&str]) -> bool {
            match (pattern, topic) {
                ([], []) => true,
                (["**", rest @ ..], _) => {
                    spans(rest, topic) || (!topic.is_empty() && spans(pattern, &topic[1..]))
                }
                (["*", rest @ ..], [_, others @ ..]) => spans(rest, others),
                ([want, rest @ ..], [have, others @ ..]) => want == have && spans(rest, others),
                _ => false,
            }
        }
        let segments: Vec<_> = topic.split('/').collect();
        let by_topic = self
            .topics
            .iter()
            .any(|wanted| spans(&wanted.split('/').collect::<Vec<_>>(), &segments));
        by_topic && (self.types.is_empty() || self.types.contains(&kind))
    }
}

#[test]
fn four_hundred_subscribers_get_what_the_model_says() {
    let topics: Vec<String> = ["a", "b", "c", "a/1", "a/2", "b/1", "b/2", "c/1", "a/1/x", "b/1/x"]
        .into_iter()
        .chain(["c/1/x", "c/1/2/x", "c/x", "x", "d", "d/1", "d/1/2", "d/1/2/3", "e//1", "b/"])
        .map(str::to_owned)
        .collect();
    let mut random = fastrand::Rng::with_seed(20);
    let hub = Hub::start(&[]);
    let mut subscribers: Vec<_> = (0..400)
        .map(|_| {
            let wanted = Wanted::random(&mut random, &topics);
            let subscriber = hub.subscribe(&wanted.query());
            (wanted, subscriber)
        })
        .collect();

    let event = |topic: &str, kind: &str, message: &str| {
        let mut event = json!({ "topic": topic, "message": message });
        if kind != "message" {
            event["event"] = json!(kind);
        }
        event
    };
    let mut publisher = hub.publisher();
    let mut published = Vec::new();
    for round in 0..60 {
        let batch: Vec<_> = (0..random.usize(1..20))
            .map(|n| {
                let topic = &topics[random.usize(..topics.len())];
                (topic, Wanted::TYPES[random.usize(..4)], format!("{round}.{n}"))
            })
            .collect();
        let ids = publisher.batch(batch.iter().map(|(topic, kind, text)| event(topic, kind, text)));
        published.extend(ids.into_iter().zip(batch));
    }
    // An end for whatever a selector may want.
    let everywhere = |topic| Wanted::TYPES.map(|kind| event(topic, kind, "end"));
    publisher.batch(topics.iter().flat_map(|topic| everywhere(topic.as_str())));

    for (wanted, subscriber) in &mut subscribers {
        let expected: Vec<_> = published
            .iter()
            .filter(|(_, (topic, kind, _))| wanted.wants(topic, kind))
            .map(|(id, (.., message))| (id.as_str(), message.as_str()))
            .collect();
        let events = subscriber.until("end");
        let received: Vec<_> =
            events.iter().map(|event| (event.id.as_str(), event.data.as_str())).collect();
        assert_eq!(received, expected, "{}", wanted.query());
    }
}
