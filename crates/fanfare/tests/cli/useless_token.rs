//! `fanfare token`: what is minted can be read, verified, and is good for what was asked.

use std::process::Command;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::{Ended, fanfare, run};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn minted(arguments: &[&str]) -> String {
    let ended = run(&mut fanfare(&[&["token", "mint"], arguments].concat()));
    ended.lines()[0].to_owned()
}

fn inspected(token: &str, arguments: &[&str]) -> (Ended, Value) {
    let ended = run(&mut fanfare(&[&["token", "inspect", token], arguments].concat()));
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended, report)
}

#[test]
fn a_token_grants_what_was_asked_for() {
    let token = minted(&[
        "--secret",
        SECRET,
        "--publish",
        "a/*",
        "--publish",
        "b",
        "--subscribe",
        "a/**",
        "--subject",
        "shop",
        "--audience",
        "hub",
        "--expires-in",
        "2h",
    ]);
    let (ended, report) = inspected(&token, &["--secret", SECRET]);
    assert_eq!((ended.code, &report["verified"]), (Some(0), &json!(true)));
    let claims = &report["claims"];
    assert_eq!(claims["fanfare"], json!({"publish": ["a/*", "b"], "subscribe": ["a/**"]}));
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("shop"), &json!("hub")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 7_200);
    assert_eq!(inspected(&token, &[]).1["verified"], Value::Null);
}

#[test]
fn a_forged_or_expired_token_is_reported() {
    let token = minted(&["--secret", SECRET, "--admin"]);
    let other = ["--secret", "another secret of more than thirty-two bytes"];
    let (ended, report) = inspected(&token, &other);
    assert_eq!((ended.code, &report["verified"]), (Some(1), &json!(false)));
    let expired = minted(&["--secret", SECRET, "--admin", "--expires-in", "0s"]);
    let (ended, report) = inspected(&expired, &["--secret", SECRET]);
    assert_eq!((ended.code, &report["expired"]), (Some(1), &json!(true)));
    assert_eq!(ended.stderr, "error: the token has expired\n");
}

#[test]
fn a_token_the_hub_refuses_is_reported_with_the_reason() {
    let now = 1_000_000_000_000_u64;
    for (claims, says) in [
        (json!({"exp": now, "nbf": 4_102_444_800_u64}), "is not valid until 2100-01-01T00:00:00Z"),
        (json!({"exp": now, "nbf": u64::MAX}), "is not valid until 18446744073709551615"),
        (json!({"nbf": 1}), "has no exp: the hub refuses it"),
        (json!({"exp": "soon"}), "has no exp: the hub refuses it"),
    ] {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::default(), &claims, &key).unwrap();
        let (ended, report) = inspected(&token, &["--secret", SECRET]);
        assert_eq!(ended.stderr, format!("error: the token {says}\n"));
        assert_eq!((ended.code, &report["expired"]), (Some(1), &json!(false)));
    }
}

#[test]
fn a_key_pair_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (private, public) = (path("private"), path("public"));
    for (algorithm, options) in [
        ("EdDSA", &["-algorithm", "ed25519"][..]),
        ("ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ES384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ] {
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl").args(arguments).output().expect("openssl is there");
            assert!(done.status.success(), "{done:?}");
        };
        openssl(&[&["genpkey", "-out", &private], options].concat());
        openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
        let token = minted(&["--private-key", &private, "--subscribe", "**"]);
        let (ended, report) = inspected(&token, &["--public-key", &public]);
        assert_eq!((ended.code, &report["verified"]), (Some(0), &json!(true)), "{algorithm}");
        assert_eq!(report["header"]["alg"], algorithm);
    }
}

#[test]
fn no_useless_token_is_minted() {
    for (arguments, says) in [
        (&["mint", "--secret", SECRET][..], "say what the token is good for"),
        (&["mint", "--admin"], "to sign with"),
        (&["mint", "--admin", "--secret", "short"], "at least 32 bytes"),
        (&["mint", "--publish", "a*", "--secret", SECRET], "whole segments"),
        (&["mint", "--admin", "--private-key", "Cargo.toml"], "no private key in PEM"),
    ] {
        let ended = run(&mut fanfare(&[&["token"], arguments].concat()));
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
    for text in ["", "x", "a.b.c", "e30.e30", "e30.e30.x.y"] {
        let ended = run(&mut fanfare(&["token", "inspect", text]));
        assert_eq!(ended.code, Some(1), "{text}: {ended:?}");
    }
}
