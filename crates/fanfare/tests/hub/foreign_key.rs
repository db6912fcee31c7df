//! An `Idempotency-Key` is its sender's alone: nobody else's key answers it, uses it up or keeps it
//! out, and it stands for what it was first sent with.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::issuer::{SECRET, bearer, claims, good_claims, now, sign_with_secret, token};
use crate::support::{Hub, Response};

fn publish(hub: &Hub, credential: &str, key: &str, message: &str) -> Response {
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", &*bearer(credential)),
        ("Idempotency-Key", key),
    ];
    hub.publisher().post(&headers, json!({ "message": message }).to_string())
}

fn signed(claims: &Value) -> String {
    sign_with_secret(Algorithm::HS256, SECRET, claims)
}

#[test]
fn a_key_is_its_publishers_alone() {
    let keys = ["the key of the shop", "the key of a stranger"];
    let [shop, stranger] = keys.map(|key| key.replace(' ', "-"));
    let hub = Hub::start(&[
        "--publish-key",
        &shop,
        "--publish-key",
        &stranger,
        "--jwt-secret",
        SECRET,
        "--anonymous-subscribe",
        "**",
    ]);
    let mut subscriber = hub.subscribe("");
    let everywhere = json!({"publish": ["**"]});
    let mut by_issuer = good_claims();
    by_issuer["iss"] = "https://one.example".into();
    let mut by_another = good_claims();
    by_another["iss"] = "https://another.example".into();
    let nameless = json!({"exp": now() + 600.0, "fanfare": {"publish": ["default"]}});
    let nameless_too = json!({"exp": now() + 600.0, "fanfare": {"publish": ["**"]}});
    let credentials = [
        stranger,
        shop,
        token(&claims("ada", 600.0, &everywhere)),
        token(&claims("bob", 600.0, &everywhere)),
        signed(&by_issuer),
        signed(&by_another),
        signed(&nameless),
        signed(&nameless_too),
    ];
    let mut ids = Vec::new();
    for (n, credential) in credentials.iter().enumerate() {
        let answer = publish(&hub, credential, "order-17", &n.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        ids.push(answer.json()["id"].clone());
        assert_eq!(subscriber.next().data, n.to_string(), "it was answered and not published");
    }
    for (n, credential) in credentials.iter().enumerate() {
        let again = publish(&hub, credential, "order-17", &n.to_string());
        assert_eq!((again.status, &again.json()["id"]), (200, &ids[n]), "each keeps its own");
    }
    // A token that was renewed is the same bearer's.
    let renewed = json!({"exp": now() + 900.0, "fanfare": {"publish": ["default"]}});
    assert_eq!(publish(&hub, &signed(&renewed), "order-17", "6").json()["id"], ids[6]);
}

#[test]
fn a_key_with_another_content_is_refused() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=**");
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    let first = hub.publisher().post(&keyed, r#"{"message": "a", "topic": "t"}"#);
    for other in [
        r#"{"message": "b", "topic": "t"}"#,
        r#"{"message": "a", "topic": "u"}"#,
        r#"{"message": "a", "topic": "t", "event": "e"}"#,
        r#"{"message": "a"}"#,
    ] {
        let refused = hub.publisher().post(&keyed, other);
        assert_eq!(refused.status, 422, "{other}: {refused:?}");
        let said = &refused.json()["detail"][0];
        assert_eq!(said["loc"], json!(["header", "idempotency-key"]));
        assert!(said["msg"].as_str().unwrap().contains("take a new key"), "{said}");
    }
    // The same, in other words.
    let again = hub.publisher().post(&keyed, r#"{"x": 1, "topic":"t","message":"\u0061"}"#);
    assert_eq!((again.status, again.json()), (200, first.json()));
    hub.publisher().send("next");
    assert_eq!(subscriber.messages(2), ["a", "next"]);
    let refused = hub.metrics().labelled("fanfare_refused_total", "\"idempotency_key_reused\"");
    assert_eq!(refused, 4.0);
}

#[test]
fn one_publishers_keys_keep_nobody_out() {
    let keys = ["a key that is greedy", "a key that is modest"].map(|key| key.replace(' ', "-"));
    let [greedy, modest] = &keys;
    let arguments = ["--publish-key", greedy, "--publish-key", modest, "--idempotency-keys", "100"];
    let hub = Hub::alone(&arguments);
    let mut accepted = 0;
    let refused = loop {
        let answer = publish(&hub, greedy, &format!("key-{accepted}"), "a");
        match answer.status {
            200 => accepted += 1,
            _ => break answer,
        }
    };
    assert_eq!((accepted, refused.status), (50, 503), "{refused:?}");
    assert!(refused.text().contains("you use too many"), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    for n in 0..25 {
        let answer = publish(&hub, modest, &format!("key-{n}"), "a");
        assert_eq!(answer.status, 200, "the {n}th key of another: {answer:?}");
    }
    let again = publish(&hub, greedy, "key-7", "a");
    assert_eq!(again.status, 200, "keys that are known are answered: {again:?}");
}

#[test]
fn two_keys_in_one_request_are_refused() {
    let hub = Hub::start(&[]);
    let two = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "one"),
        ("Idempotency-Key", "two"),
    ];
    assert_eq!(hub.publisher().post(&two, r#"{"message": "a"}"#).status, 422);
}
