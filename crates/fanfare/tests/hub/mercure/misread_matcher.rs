//! A matcher is read as something else, so that a subscriber hears too much, too little, or what it did not ask for in
//! silence.

use super::{FORM, PATH, asking, assert_not_a_stream, hub, listen, publish};
use crate::support::Hub;

/// What of these topics is heard by a subscriber with this query.
fn received_topics(hub: &Hub, query: &str, topics: &[&str]) -> Vec<String> {
    let end = "https://example.com/the-end";
    let mut heard = listen(hub, &format!("{query}&match={end}"));
    for topic in topics.iter().chain([&end]) {
        let topic = topic.replace('%', "%25").replace('#', "%23").replace('&', "%26");
        publish(hub, &format!("topic={topic}&data={topic}"));
    }
    let mut data = Vec::new();
    loop {
        match heard.next().data {
            last if last == end => return data,
            other => data.push(other),
        }
    }
}

#[test]
fn a_pattern_may_match_addresses_without_a_host() {
    let hub = hub();
    let mut heard = listen(&hub, "match_urlpattern=urn%5C:isbn%5C:*&match=end");
    publish(&hub, "topic=urn:uuid:1&data=another");
    publish(&hub, "topic=urn:isbn:1&data=it");
    publish(&hub, "topic=end&data=end");
    assert_eq!([heard.next().data, heard.next().data], ["it", "end"]);
}

#[test]
fn an_exact_matcher_compares_bytes() {
    let hub = hub();
    let topics = ["a", "A", "/a", "https://hub.example.com/.well-known/a", "a b", "a/b"];
    assert_eq!(received_topics(&hub, "match=a", &topics), ["a"]);
    assert_eq!(received_topics(&hub, "match_exact=a", &topics), ["a"]);
    let topics = ["/books/:id", "/books/1", "/books/{id}"];
    assert_eq!(
        received_topics(&hub, "match=/books/:id&match=/books/{id}", &topics),
        ["/books/:id", "/books/{id}"]
    );
    assert_eq!(received_topics(&hub, "match=/a*b", &["/axb", "/a*b"]), ["/a*b"]);
}

#[test]
fn a_url_pattern_matches_as_its_standard_says() {
    let hub = hub();
    let topics = [
        "https://example.com/books/1",
        "https://EXAMPLE.com/books/2",
        "https://example.com/books/1/2",
        "https://example.com/Books/1",
        "http://example.com/books/1",
        "books/1",
    ];
    let heard = received_topics(&hub, "match_urlpattern=https://example.com/books/:id", &topics);
    assert_eq!(heard, topics[..2]);
}

#[test]
fn relative_patterns_and_topics_are_the_hubs() {
    let hub = hub();
    let topics = ["/books/1", "https://hub.example.com/books/2", "https://example.com/books/3"];
    assert_eq!(received_topics(&hub, "match_urlpattern=/books/:id", &topics), topics[..2]);
    let absolute = "match_urlpattern=https://hub.example.com/books/:id";
    assert_eq!(received_topics(&hub, absolute, &topics), topics[..2]);
}

#[test]
fn a_topic_that_is_no_url_matches_no_pattern() {
    let hub = hub();
    let heard =
        received_topics(&hub, "match_urlpattern=https://*/*", &["https://[", "https://x/y"]);
    assert_eq!(heard, ["https://x/y"]);
}

#[test]
fn a_pattern_that_was_made_to_be_hard_costs_little() {
    let hub = hub();
    let topic = format!("https://example.com/{}", "a".repeat(200));
    let heard =
        received_topics(&hub, "match_urlpattern=https://example.com/((?:a%2B)%2B)b", &[&topic]);
    assert!(heard.is_empty());
}

#[test]
fn a_star_is_every_topic_whatever_its_type() {
    let hub = hub();
    for query in ["match=*", "match_exact=*", "match_urlpattern=*", "topic=*"] {
        assert_eq!(
            received_topics(&hub, query, &["a", "https://["]),
            ["a", "https://["],
            "{query}"
        );
    }
}

#[test]
fn the_older_parameter_takes_templates_and_names() {
    let hub = hub();
    let topics = ["https://example.com/books/1", "https://example.com/books/1/2", "x", "{"];
    let heard = received_topics(&hub, "topic=https://example.com/books/{id}&topic={", &topics);
    assert_eq!(heard, [topics[0], topics[3]]);
}

#[test]
fn one_event_comes_once_however_many_matchers_match() {
    let hub = hub();
    let query = "match=/a/1&match_urlpattern=/a/:id&match=*&topic=/a/{id}";
    assert_eq!(received_topics(&hub, query, &["/a/1"]), ["/a/1"]);
}

#[test]
fn what_is_no_matcher_is_refused() {
    let hub = hub();
    for query in [
        "",
        "other=1",
        "match",
        "match=",
        "Match=a",
        "match=a&matches=b",
        "match=a&match_regex=b",
        "match=a&MATCH_URLPATTERN=b",
        "match=a&match_uri_template=b",
        "match=a%0Ab",
        "match=a%E2%80%8B",
        "match=%FF",
        "match_urlpattern=https://example.com/(",
        "match_urlpattern=https://[",
        "topic=a%00",
    ] {
        assert_not_a_stream(&hub, query, 400);
    }
    let long = format!("match={}", "x".repeat(600));
    assert_not_a_stream(&hub, &long, 400);
    let many: String = (0..300).map(|n| format!("match={n}&")).collect();
    assert_not_a_stream(&hub, &many, 400);
}

#[test]
fn a_query_may_ask_in_a_form() {
    let hub = hub();
    let ask = |target: &str, kind: &str, form: &str| {
        let mut connection = hub.connect();
        let length = form.len().to_string();
        connection.send(format!(
            "QUERY {target} HTTP/1.1\r\nHost: hub.test\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{form}"
        ));
        let head = connection.head();
        (head, connection)
    };
    let (head, mut connection) = ask(&format!("{PATH}?match=a"), FORM, "match=b");
    assert_eq!(head.status, 200);
    publish(&hub, "topic=a&data=first");
    publish(&hub, "topic=b&data=second");
    let mut text = String::new();
    while !text.contains("second") {
        let chunk = connection.chunk().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.contains("data: first"), "{text}");
    assert_eq!(ask(PATH, FORM, "matches=b").0.status, 400);
    assert_eq!(ask(PATH, FORM, "").0.status, 400);
    assert_eq!(ask(PATH, "text/plain", "match=b").0.status, 415);
}

#[test]
fn other_methods_are_not_known() {
    let hub = hub();
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = hub.request(method, PATH, &[]);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{answer:?}");
    }
    let (head, _) = asking(&hub, "match=a").ask();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
}
