//! What is wrong with a Redis is said at the start, in one line.

use std::sync::Arc;

use fanfare_log::EventLog;
use fanfare_redis::{ConnectError, RedisLog};
use fanfare_testkit::{RedisServer, free_port};

use crate::ledger::{Ledger, Node, Recorder, settings};

async fn refused(url: &str) -> ConnectError {
    let connected = RedisLog::connect(settings(url), Arc::new(Recorder::default())).await;
    let error = connected.err().expect("it will not do");
    assert_eq!(error.to_string().lines().count(), 1);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_evicts_is_refused() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    let error = refused(&server.url()).await;
    assert!(matches!(&error, ConnectError::Evicts { policy, .. } if policy == "allkeys-lru"));
    assert!(error.to_string().contains("noeviction"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_is_named() {
    let port = free_port();
    let error = refused(&format!("redis://127.0.0.1:{port}")).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_redis_is_silent() {
    let server = RedisServer::start(&[]);
    server.stop();
    let error = refused(&server.url()).await;
    assert!(matches!(error, ConnectError::Silent { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
    let error = refused(&replica.url()).await;
    assert!(error.to_string().contains("READONLY"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_the_right_one_with_a_database_accepted() {
    let server = RedisServer::start(&[]);
    server.command(&["ACL", "SETUSER", "hub", "on", ">p@ss", "~*", "+@all"]);
    let error = refused(&format!("redis://hub:secret@127.0.0.1:{}", server.port())).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let node = Node::connect(&format!("redis://hub:p%40ss@127.0.0.1:{}/3", server.port())).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    assert!(server.info("db3").starts_with("keys="));
    assert!(node.log.ready().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_checked() {
    let mut server = RedisServer::prepared(&["--save", ""]);
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    let port = free_port();
    server.serve_tls(port, &certificate, &certified.signing_key.serialize_pem());

    let url = format!("rediss://localhost:{port}");
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    let mut trusting = settings(&url);
    trusting.certificate_authority = Some(certificate.into_bytes());
    let node = Node::with(trusting).await;
    let ledger = Ledger::default();
    ledger.publish(&node.log, "a", &["0.0".to_owned()]).await.unwrap();
    node.heard(ledger.last()).await;
    ledger.judge(&node.tail);
}
