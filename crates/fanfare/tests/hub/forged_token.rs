//! A token is trusted for its signature, its times, its issuer and its audience, each in its turn,
//! and never for what it says of itself.
//!
//! Invariant: *asked first*.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::issuer::{Issuer, SECRET, bearer, good_claims, now, sign_with_secret, token};
use crate::support::{Hub, Response};

fn present(hub: &Hub, token: &str) -> Response {
    let headers = [("Authorization", &*bearer(token)), ("Content-Type", "application/json")];
    hub.publisher().post(&headers, r#"{"message": "a"}"#)
}

#[track_caller]
fn assert_refused(hub: &Hub, token: &str, because: &str) {
    let response = present(hub, token);
    assert_eq!(response.status, 401, "{because}: {response:?}");
    assert_eq!(response.json()["detail"], because);
    let challenge = response.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    let (head, _) = hub.subscription().header("Authorization", &bearer(token)).ask();
    assert_eq!((head.status, head.header("content-type")), (401, Some("application/json")));
}

fn without(claim: &str) -> Value {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[claim] = value;
    claims
}

/// A token put together by hand.
fn assembled(header: &Value, claims: &Value, signature: &str) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}.{signature}")
}

const KEY: &str = "the token is signed with an algorithm or a key that is not accepted";
const SIGNATURE: &str = "the token's signature is wrong";
const CLAIMS: &str = "the token lacks a claim, or holds one that cannot be read";

#[test]
fn a_forged_token_is_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let token = sign_with_secret(algorithm, SECRET, &good_claims());
        assert_eq!(present(&hub, &token).status, 200, "{algorithm:?}");
    }
    let other = sign_with_secret(Algorithm::HS256, &SECRET.replace('a', "b"), &good_claims());
    assert_refused(&hub, &other, SIGNATURE);

    let good = token(&good_claims());
    let [header, _, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let more = URL_SAFE_NO_PAD.encode(with("sub", "eve".into()).to_string());
    assert_refused(&hub, &format!("{header}.{more}.{signature}"), SIGNATURE);

    for none in ["none", "None", "NONE"] {
        let header = json!({"alg": none, "typ": "JWT"});
        for signature in ["", signature] {
            assert_eq!(present(&hub, &assembled(&header, &good_claims(), signature)).status, 401);
        }
    }
    let critical = json!({"alg": "HS256", "crit": ["exp"]});
    assert_eq!(present(&hub, &assembled(&critical, &good_claims(), signature)).status, 401);
    for junk in ["", ".", "..", "a.b.c", "junk", &good[1..], &good[..good.len() - 4]] {
        assert_eq!(present(&hub, junk).status, 401, "{junk}");
    }
    assert_eq!(present(&hub, &"a".repeat(15_000)).status, 401);
    let logged = hub.logged();
    assert!(!logged.contains(signature) && !logged.contains(SECRET), "{logged}");
}

#[test]
fn a_public_key_verifies_its_own_algorithm_only() {
    let issuers = [
        (
            Issuer::rsa(),
            vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256],
        ),
        (Issuer::p256(), vec![Algorithm::ES256]),
        (Issuer::p384(), vec![Algorithm::ES384]),
        (Issuer::ed25519(), vec![Algorithm::EdDSA]),
    ];
    for (issuer, algorithms) in &issuers {
        let file = issuer.public_file();
        let hub = Hub::start(&["--jwt-public-key", file.to_str().unwrap()]);
        for algorithm in algorithms {
            let token = issuer.sign(*algorithm, &good_claims());
            assert_eq!(present(&hub, &token).status, 200, "{algorithm:?}");
        }
        // RFC 8725, 2.1: whoever knows the public key would be the issuer.
        for secret in [issuer.public_pem.as_str(), issuer.public_pem.trim_end()] {
            let forged = sign_with_secret(Algorithm::HS256, secret, &good_claims());
            assert_refused(&hub, &forged, KEY);
        }
        for (other, algorithms) in &issuers {
            if !std::ptr::eq(issuer, other) {
                let response = present(&hub, &other.sign(algorithms[0], &good_claims()));
                assert_eq!(response.status, 401, "{algorithms:?}");
            }
        }
    }
}

#[test]
fn a_replaced_or_added_key_is_used() {
    let [old, new, other] = [Issuer::ed25519(), Issuer::ed25519(), Issuer::ed25519()];
    let [a, b] = [old.public_file(), new.public_file()];
    let hub = Hub::start(&[
        "--jwt-public-key",
        a.to_str().unwrap(),
        "--jwt-public-key",
        b.to_str().unwrap(),
    ]);
    for issuer in [&old, &new] {
        assert_eq!(present(&hub, &issuer.sign(Algorithm::EdDSA, &good_claims())).status, 200);
    }
    assert_refused(&hub, &other.sign(Algorithm::EdDSA, &good_claims()), SIGNATURE);
}

#[test]
fn a_token_out_of_its_time_is_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    assert_refused(&hub, &token(&with("exp", json!(now() - 1.0))), "the token has expired");
    assert_refused(&hub, &token(&with("nbf", json!(now() + 60.0))), "the token is not valid yet");
    assert_refused(&hub, &token(&without("exp")), CLAIMS);
    assert_refused(&hub, &token(&with("exp", json!("tomorrow"))), CLAIMS);
    assert_refused(&hub, &token(&with("exp", Value::Null)), CLAIMS);
    assert_eq!(present(&hub, &token(&with("nbf", json!(now() - 1.0)))).status, 200);
}

#[test]
fn a_token_of_another_issuer_or_audience_is_refused() {
    let hub = Hub::start(&[
        "--jwt-secret",
        SECRET,
        "--jwt-issuer",
        "https://id.example",
        "--jwt-audience",
        "fanfare",
    ]);
    let claims = |issuer: Value, audience: Value| {
        let mut claims = good_claims();
        claims["iss"] = issuer;
        claims["aud"] = audience;
        token(&claims)
    };
    let [us, id] = ["fanfare", "https://id.example"].map(Value::from);
    assert_eq!(present(&hub, &claims(id.clone(), us.clone())).status, 200);
    assert_eq!(present(&hub, &claims(id.clone(), json!(["other", "fanfare"]))).status, 200);
    let (issuer, audience) =
        ("the token is of another issuer", "the token is meant for another audience");
    assert_refused(&hub, &claims("https://id.example.evil".into(), us.clone()), issuer);
    assert_refused(&hub, &claims(id.clone(), "other".into()), audience);
    assert_refused(&hub, &claims(id.clone(), json!([])), audience);
    assert_refused(&hub, &claims(Value::Null, us), CLAIMS);
    assert_refused(&hub, &claims(id, Value::Null), CLAIMS);
    assert_refused(&hub, &token(&good_claims()), CLAIMS);
}

#[test]
fn unreadable_rights_are_refused() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    for rights in [json!("**"), json!({"publish": "**"}), json!({"publish": ["a*"]})] {
        assert_refused(&hub, &token(&with("fanfare", rights)), CLAIMS);
    }
    let response = present(&hub, &token(&without("fanfare")));
    assert_eq!(response.status, 403, "{response:?}");
}
