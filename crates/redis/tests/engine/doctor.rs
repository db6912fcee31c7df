//! The doctor names what is wrong and what to do.

use fanfare_redis::Namespace;
use fanfare_redis::doctor::{Severity, diagnose};
use fanfare_testkit::{RedisServer, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn every_risk_has_a_finding_with_a_remedy() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru", "--maxmemory", "1gb"]);
    let namespace = Namespace::parse("test").unwrap();
    let findings = diagnose(&server.url().parse().unwrap(), &namespace).await;
    let severity = |what: &str| {
        let finding = findings.iter().find(|finding| finding.what.contains(what));
        finding.unwrap_or_else(|| panic!("nothing about {what}: {findings:#?}")).severity
    };
    assert_eq!(severity("allkeys-lru"), Severity::Problem);
    assert_eq!(severity("Redis 7"), Severity::Fine);
    assert_eq!(severity("append-only"), Severity::Warning);
    assert_eq!(severity("MiB of memory"), Severity::Fine);
    assert_eq!(severity("0 replicas"), Severity::Warning);
    assert_eq!(severity("clocks differ"), Severity::Fine);
    severity("round trip");
    assert!(findings.iter().all(|f| (f.severity == Severity::Fine) == f.fix.is_empty()));
    assert_eq!(server.command(&["DBSIZE"]), "0", "it changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_is_the_one_finding() {
    let url = format!("redis://127.0.0.1:{}", free_port()).parse().unwrap();
    let findings = diagnose(&url, &Namespace::parse("test").unwrap()).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::Problem);
}
