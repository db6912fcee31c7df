//! The provider of the keys for tokens comes and goes; those it vouched for stay.

use jsonwebtoken::Algorithm;

use crate::support::issuer::{Issuer, SECRET, bearer, good_claims, token};
use crate::support::{Ca, Hub, KeyServer, Setup};

fn present(hub: &Hub, token: &str) -> u16 {
    let headers = [("Authorization", &*bearer(token)), ("Content-Type", "application/json")];
    hub.publisher().post(&headers, r#"{"message": "a"}"#).status
}

#[test]
fn an_absent_provider_is_answered_with_503() {
    let provider = KeyServer::start();
    let [rsa, p256] = [Issuer::rsa(), Issuer::p256()];
    let hub = Hub::alone(&["--jwks-url", &provider.url()]);
    let by_rsa = rsa.sign_as("one", Algorithm::RS256, &good_claims());

    // Nothing is known yet: not the client's fault, and a stream is asked to come back.
    let headers = [("Authorization", &*bearer(&by_rsa)), ("Content-Type", "application/json")];
    let response = hub.publisher().post(&headers, r#"{"message": "a"}"#);
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.header("retry-after").is_some());
    let mut stream = hub.subscription().header("Authorization", &bearer(&by_rsa)).open();
    assert_eq!(stream.until_closed(), []);

    provider.serve(&[("one", &rsa.jwk), ("two", &p256.jwk)]);
    hub.await_metrics("the keys have come", |_| present(&hub, &by_rsa) == 200);
    let by_p256 = p256.sign_as("two", Algorithm::ES256, &good_claims());
    assert_eq!(present(&hub, &by_p256), 200);
    let nameless = p256.sign(Algorithm::ES256, &good_claims());
    assert_eq!(present(&hub, &nameless), 200, "there is only one key it can mean");

    // Keys go by their names, and verify what is theirs.
    let asked = provider.asked();
    for _ in 0..50 {
        assert_eq!(present(&hub, &p256.sign_as("one", Algorithm::ES256, &good_claims())), 401);
        assert_eq!(present(&hub, &rsa.sign_as("two", Algorithm::RS256, &good_claims())), 401);
        let forged = Issuer::p256().sign_as("two", Algorithm::ES256, &good_claims());
        assert_eq!(present(&hub, &forged), 401);
    }
    assert_eq!(provider.asked(), asked, "known names are not asked for");
    for n in 0..50 {
        let unknown = rsa.sign_as(&format!("unknown-{n}"), Algorithm::RS256, &good_claims());
        assert_ne!(present(&hub, &unknown), 200);
    }
    assert!(provider.asked() <= asked + 2, "a flood of names is passed on");

    provider.break_down();
    assert_eq!(present(&hub, &by_rsa), 200);
    assert_eq!(present(&hub, &by_p256), 200);
}

#[test]
fn unknown_keys_do_not_delay_good_tokens() {
    let provider = KeyServer::start();
    provider.hang();
    let arguments = ["--jwks-url", &provider.url(), "--max-requests", "40"];
    let hub = Hub::alone(&[&arguments[..], &["--jwt-secret", SECRET]].concat());
    let unknown = Issuer::p256();
    let good = token(&good_claims());
    std::thread::scope(|scope| {
        let ask = |n: usize| {
            let token = unknown.sign_as(&format!("x{n}"), Algorithm::ES256, &good_claims());
            present(&hub, &token)
        };
        let askers: Vec<_> = (0..80).map(|n| scope.spawn(move || ask(n))).collect();
        for _ in 0..200 {
            assert_eq!(present(&hub, &good), 200, "a good key has to wait");
        }
        for asker in askers {
            assert_eq!(asker.join().unwrap(), 503);
        }
    });
}

#[test]
fn every_route_answers_an_outage_alike() {
    let provider = KeyServer::start();
    let hub = Hub::alone(&["--jwks-url", &provider.url()]);
    let token = Issuer::p256().sign_as("one", Algorithm::ES256, &good_claims());
    let credential = bearer(&token);
    let ask = |method, path| hub.request(method, path, &[("Authorization", &credential)]);
    assert_eq!(present(&hub, &token), 503);
    for (method, path) in
        [("POST", "/sse/ticket"), ("GET", "/sse/subscribers"), ("DELETE", "/sse/subscribers")]
    {
        let answer = ask(method, path);
        assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
    // An EventSource never comes back after any other status.
    for path in ["/sse", "/sse/console"] {
        let stream = hub.subscription().prefix(path).header("Authorization", &credential);
        assert_eq!(stream.open().until_closed(), [], "{path}");
    }
}

#[test]
fn a_new_key_is_learnt() {
    let provider = KeyServer::start();
    let [old, new] = [Issuer::p256(), Issuer::p256()];
    provider.serve(&[("old", &old.jwk)]);
    let hub = Hub::alone(&["--jwks-url", &provider.url()]);
    let by_old = old.sign_as("old", Algorithm::ES256, &good_claims());
    // A token waits for the provider, but not for long.
    hub.await_metrics("the keys have come", |_| present(&hub, &by_old) == 200);
    provider.serve(&[("new", &new.jwk)]);
    let by_new = new.sign_as("new", Algorithm::ES256, &good_claims());
    hub.await_metrics("the new key is known", |_| present(&hub, &by_new) == 200);
    assert_eq!(present(&hub, &by_old), 401, "the provider has withdrawn it");
}

#[test]
fn keys_need_a_trusted_provider() {
    let (ca, key) = (Ca::new(), Issuer::p256());
    let provider = KeyServer::start_securely(&ca);
    provider.serve(&[("one", &key.jwk)]);
    let token = key.sign_as("one", Algorithm::ES256, &good_claims());
    let start = |ca: &Ca| {
        Setup::new(&["--jwks-url", &provider.url()])
            .variable("SSL_CERT_FILE", ca.file())
            .alone()
            .start()
    };

    let hub = start(&Ca::new());
    hub.await_log("invalid peer certificate");
    assert_eq!(present(&hub, &token), 503);
    assert_eq!(provider.asked(), 0);

    let hub = start(&ca);
    hub.await_metrics("the keys have come", |_| present(&hub, &token) == 200);
    let new = Issuer::p256();
    provider.serve(&[("one", &key.jwk), ("two", &new.jwk)]);
    let by_new = new.sign_as("two", Algorithm::ES256, &good_claims());
    hub.await_metrics("the new key is known", |_| present(&hub, &by_new) == 200);
}

#[test]
fn no_hub_that_trusts_nobody_starts() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["--listen", "127.0.0.1:0", "--jwks-url", "https://localhost:1/keys"])
        .env("SSL_CERT_FILE", empty.path())
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("trusts no certificate authority"), "{said}");
    assert!(said.contains("SSL_CERT_FILE"), "{said}");
}

#[test]
fn a_bad_key_set_is_refused_in_bounded_memory() {
    let key = Issuer::p256();
    let token = key.sign_as("one", Algorithm::ES256, &good_claims());
    let ok = |body: &str| {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    };
    let huge = format!(r#"{{"keys": [], "padding": "{}"}}"#, "x".repeat(300 * 1024));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(32 * 1024 * 1024));
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n";
    for (complaint, answer) in [
        ("longer than 262144 bytes", ok(&huge)),
        ("longer than 262144 bytes", endless),
        ("not a JSON Web Key Set", ok("<html>")),
        ("holds no public key", ok(r#"{"keys": []}"#)),
        ("302 Found", elsewhere.to_owned()),
        ("could not be fetched", "nonsense\r\n\r\n".to_owned()),
    ] {
        let provider = KeyServer::start();
        provider.say(&answer);
        let hub = Setup::new(&["--jwks-url", &provider.url()]).alone().start();
        hub.await_log(complaint);
        assert_eq!(present(&hub, &token), 503, "{complaint}");
        assert!(hub.resident_memory() < 200 * 1024 * 1024, "{complaint}");
    }
}
