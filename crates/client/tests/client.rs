//! The client against a server that plays a script: what it repeats, and what it must not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fanfare_client::{
    BearerToken, Client, Deadlines, Item, Message, PublishBatch, PublishError, RequestError,
    RetryKey, SubscribeError, SubscribeOptions,
};
use fanfare_event::Topic;

/// Longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server that gives each request the next answer of its script; an empty one breaks the
/// connection off.
struct Script {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn play(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::default();
        let answers: Vec<_> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let seen: Arc<Mutex<Vec<String>>> = Arc::clone(&requests);
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                seen.lock().unwrap().push(request(&mut stream));
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, requests }
    }

    fn client(&self) -> Client {
        let token = BearerToken::parse("s3cret").unwrap();
        Client::new(self.url.parse().unwrap(), Some(token), Deadlines::default()).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A whole request; bodies here end with `}`, with or without a line end.
fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let whole = if text.starts_with("POST") { text.trim_end().ends_with('}') } else { true };
        if read == 0 || whole && text.contains("\r\n\r\n") {
            return text;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

fn stream(events: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{events}")
}

fn batch() -> PublishBatch {
    let topic = Topic::parse("t").unwrap();
    PublishBatch::single(Message { topic: &topic, event: None, text: "x" }, RetryKey::random())
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines().map_while(|line| line.split_once(": ").or(Some(("", ""))));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

const OK: &str = r#"{"status":"message sent","id":"1-1"}"#;

#[tokio::test]
async fn a_retry_has_the_same_key_and_the_same_body() {
    let (busy, full) = (
        answer("503 Service Unavailable", "Retry-After: 0\r\n", r#"{"detail":"later"}"#),
        answer("507 Insufficient Storage", "", ""),
    );
    let script = Script::play(&["", &busy, &full, &answer("200 OK", "", OK)]);
    let mut retries = 0;
    let ids =
        script.client().publish_with_retries(&batch(), TIMEOUT, |_| retries += 1).await.unwrap();
    assert_eq!((&ids[..], retries), (&["1-1".to_owned()][..], 3));
    let requests = script.requests();
    assert_eq!(requests.len(), 4);
    assert!(header(&requests[0], "idempotency-key").unwrap().starts_with("fanfare-"));
    assert_eq!(header(&requests[0], "authorization"), Some("Bearer s3cret"));
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:#?}");
}

#[tokio::test]
async fn what_cannot_help_is_not_repeated() {
    let refusal = answer("422 Unprocessable Entity", "", r#"{"detail":"no"}"#);
    for refusal in [refusal, answer("401 Unauthorized", "", ""), answer("200 OK", "", "<html>")] {
        let script = Script::play(&[&refusal, &answer("200 OK", "", OK)]);
        let refused = script.client().publish_with_retries(&batch(), TIMEOUT, |_| ()).await;
        assert!(matches!(refused, Err(PublishError::Refused(_))), "{refused:?}");
        assert_eq!(script.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_hub_that_asks_for_more_time_than_there_is_is_not_waited_for() {
    let busy = answer("429 Too Many Requests", "Retry-After: 3600\r\n", "");
    let script = Script::play(&[&busy]);
    let gave_up = script.client().publish_with_retries(&batch(), TIMEOUT, |_| ()).await;
    assert!(matches!(gave_up, Err(PublishError::GaveUp { attempts: 1, .. })), "{gave_up:?}");
}

#[tokio::test]
async fn fewer_ids_than_messages_never_pass_for_all() {
    let topic = Topic::parse("t").unwrap();
    let message = Message { topic: &topic, event: None, text: "x" };
    let script = Script::play(&[&answer("200 OK", "", r#"{"ids":["1-1"]}"#)]);
    let answered =
        script.client().publish(&PublishBatch::of([message, message], RetryKey::random())).await;
    assert!(matches!(answered, Err(RequestError::NotAHub { .. })), "{answered:?}");
}

#[tokio::test]
async fn a_stream_is_taken_up_where_it_broke_off() {
    let script = Script::play(&[
        &stream(":\nretry: 10\nid: 1-1\ndata: a\n\nid: 1-2\nda"),
        &answer("502 Bad Gateway", "", ""),
        &stream("id: 1-9\nevent: fanfare.cursor\ndata: {}\n\n"),
        &stream(
            "id: 2-5\nevent: fanfare.gap\ndata: {\"reason\":\"trimmed\",\"requested\":\"1-9\"}\n\n",
        ),
        &stream("id: 2-6\ndata: b\n\n"),
    ]);
    let subscription = SubscribeOptions::new(vec!["t".into()], Vec::new()).unwrap();
    let mut subscriber = script.client().subscribe(subscription);
    let mut met = Vec::new();
    while met.last().is_none_or(|last| last != "b") {
        met.push(match subscriber.next().await.unwrap() {
            Item::Event(event) => event.data,
            Item::Gap(gap) => format!("gap {} {} {}", gap.reason, gap.requested, gap.resumed_from),
            Item::Connected { again, after } => format!("{again} {}", after.unwrap_or_default()),
            Item::Disconnected { .. } => "-".to_owned(),
        });
    }
    let gap = "gap trimmed 1-9 2-5";
    let expected =
        ["false ", "a", "-", "-", "true 1-1", "-", "true 1-9", gap, "-", "true 2-5", "b"];
    assert_eq!(met, expected);
    let requests = script.requests();
    let resumed: Vec<_> = requests.iter().map(|request| header(request, "last-event-id")).collect();
    assert_eq!(resumed, [None, Some("1-1"), Some("1-1"), Some("1-9"), Some("2-5")]);
}

#[tokio::test]
async fn a_message_that_is_json_never_passes_for_an_envelope_nor_an_envelope_for_a_message() {
    let bare = r#"{"topic":"b","published_at":"today","message":"m"}"#;
    let message = r#""message":"{\"topic\":\"b\"}"}"#;
    let sealed = r#"{"topic":"a","event":"x","published_at":"2026-01-01T00:00:00.000Z","#;
    let script = Script::play(&[&stream(&format!(
        "id: 1\nevent: y\ndata: {bare}\n\nid: 2\ndata: {sealed}{message}\n\n"
    ))]);
    let subscription = SubscribeOptions::new(vec!["t".into()], Vec::new()).unwrap();
    let mut subscriber = script.client().subscribe(subscription);
    let mut heard = Vec::new();
    while heard.len() < 2 {
        if let Item::Event(event) = subscriber.next().await.unwrap() {
            heard.push((event.topic, event.event.unwrap_or_default(), event.data));
        }
    }
    let expected = [("t", "y", bare), ("a", "x", r#"{"topic":"b"}"#)]
        .map(|(topic, kind, data)| (topic.to_owned(), kind.to_owned(), data.to_owned()));
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn a_refused_subscription_is_not_asked_for_again() {
    let script = Script::play(&[&stream("retry: 10\n"), &answer("403 Forbidden", "", "")]);
    let mut subscriber =
        script.client().subscribe(SubscribeOptions::new(Vec::new(), Vec::new()).unwrap());
    assert!(matches!(subscriber.next().await, Ok(Item::Connected { .. })));
    assert!(matches!(subscriber.next().await, Ok(Item::Disconnected { .. })));
    let refused = subscriber.next().await;
    assert!(matches!(refused, Err(SubscribeError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_silent_stream_is_not_listened_to_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let held = thread::spawn(move || {
        let (mut stream_, _) = listener.accept().unwrap();
        request(&mut stream_);
        stream_.write_all(stream(":\n").as_bytes()).unwrap();
        stream_
    });
    let client = Client::new(url.parse().unwrap(), None, Deadlines::default()).unwrap();
    let mut subscription = SubscribeOptions::new(Vec::new(), Vec::new()).unwrap();
    subscription.silence = Duration::from_millis(100);
    let mut subscriber = client.subscribe(subscription);
    assert!(matches!(subscriber.next().await, Ok(Item::Connected { .. })));
    let disconnected = subscriber.next().await;
    assert!(matches!(disconnected, Ok(Item::Disconnected { .. })), "{disconnected:?}");
    drop(held.join());
}
