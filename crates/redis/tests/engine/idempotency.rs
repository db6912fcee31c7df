//! A retry with the same key publishes nothing, at whichever node.

use fanfare_log::{AppendError, Batch, EventLog, IdempotencyKey};
use fanfare_testkit::{Proxy, RedisServer};

use crate::ledger::{Node, batch, draft, keyed, settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_known_key_is_answered_as_before() {
    let server = RedisServer::start(&[]);
    let (one, two) = (Node::connect(&server.url()).await, Node::connect(&server.url()).await);
    let drafts = vec![draft("t", "1.0"), draft("t", "1.1")];
    let first = one.log.append(keyed(drafts.clone(), "key")).await.unwrap();
    assert!(!first.repeated);
    for node in [&one, &two] {
        let again = node.log.append(keyed(drafts.clone(), "key")).await.unwrap();
        assert!(again.repeated);
        assert_eq!((again.first, again.count), (first.first, 2));
    }
    let other = two.log.append(keyed(drafts, "another key")).await.unwrap();
    assert_eq!(other.first, first.first.plus(2));
    let lone = vec![draft("t", "2.0")];
    let first = one.log.append(keyed(lone.clone(), "lone")).await.unwrap();
    let again = two.log.append(keyed(lone, "lone")).await.unwrap();
    assert_eq!((again.first, again.repeated), (first.first, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_forgotten_after_their_window() {
    let server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    settings.idempotency_window = std::time::Duration::from_millis(50);
    let node = Node::with(settings).await;
    let drafts = vec![draft("t", "1.0")];
    node.log.append(keyed(drafts.clone(), "key")).await.unwrap();
    until("the key has expired", || server.number(&["EXISTS", "{test}:key:key"]) == 0).await;
    assert!(!node.log.append(keyed(drafts, "key")).await.unwrap().repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_again_by_its_key() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port());
    let node = Node::connect(&proxy.url()).await;
    node.is_free().await;
    server.stop();
    let drafts = vec![draft("t", "1.0")];
    let lost = node.log.append(keyed(drafts.clone(), "key")).await;
    assert!(matches!(lost, Err(AppendError::OutcomeUnknown { .. })), "{lost:?}");
    server.go_on();
    node.ready().await;
    // The stopped server had the command in its socket and has executed it since.
    until("it was executed", || server.number(&["EXISTS", "{test}:key:key"]) == 1).await;
    let again = node.log.append(keyed(drafts, "key")).await.unwrap();
    assert!(again.repeated);
    // The publisher is answered by one connection, the tail by another.
    node.heard(again.first).await;
    assert_eq!(node.tail.events().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_publishes_use_up_no_keys() {
    let mut server = RedisServer::start(&[]);
    let mut settings = settings(&server.url());
    settings.publish_deadline = std::time::Duration::from_millis(500);
    // Of four one publisher may have two.
    settings.idempotency_keys = 4;
    let node = Node::with(settings).await;
    let publish = |n: usize| {
        let (owner, name) = ([1; 16], [n as u8; 16]);
        let key = IdempotencyKey::of(owner, name, [0; 16]);
        node.log.append(Batch { drafts: vec![draft("t", format!("{n}.0"))], key: Some(key) })
    };
    publish(0).await.unwrap();
    server.kill();
    let unsent = |answer: &_| matches!(answer, Err(AppendError::Unavailable { .. }));
    while !unsent(&node.log.append(batch(vec![draft("t", "without a key")])).await) {}
    for n in 1..8 {
        let refused = publish(n).await;
        assert!(unsent(&refused), "{n}: {refused:?}");
    }
    server.restart();
    node.ready().await;
    publish(8).await.unwrap();
    let refused = publish(9).await;
    assert!(matches!(refused, Err(AppendError::TooManyKeys { .. })), "{refused:?}");
}
