//! A token, forged, and one that is signed and claims anything.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_auth::{Principal, Secret, TokenRules, TokenVerifier, Untrusted, VerificationKey};
use fanfare_event::{Pattern, Selector, Timestamp, Topic};

const SECRET: &str = "a secret that is known to the probe alone";
const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Tries one input: a byte that says which, then a token, or the claims of one that is then signed.
pub(crate) fn probe(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if which % 2 == 0 {
        assert!(verify(text).is_err(), "nobody has signed it: {text:?}");
        return;
    }
    let [head, claims] = [r#"{"alg":"HS256"}"#, text].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{head}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    let Ok(principal) = verify(&format!("{signed}.{signature}")) else { return };
    assert!(principal.expires.is_some_and(|end| end > NOW), "it is over, or never is: {text}");
    // What a grant allows, some text among the claims has granted.
    // A number that no `f64` holds may stand where nobody reads it.
    let Ok(claims) = serde_json::from_str::<serde_json::Value>(text) else { return };
    let granted = |right: &str| {
        let texts = claims["fanfare"][right].as_array().cloned().unwrap_or_default();
        let texts = texts.into_iter().filter_map(|text| Pattern::parse(text.as_str()?).ok());
        texts.collect::<Vec<_>>()
    };
    let (publish, subscribe) = (granted("publish"), granted("subscribe"));
    for name in ["default", "orders/1", "orders", "a", "a/b/c"] {
        let topic = Topic::parse(name).expect("it is a topic");
        let is_in = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&topic));
        assert_eq!(principal.publish.allows(&topic), is_in(&publish), "{name} in {text}");
        let selector = Selector::parse([name], []).expect("it is a topic");
        let covered = principal.subscribe.covers(&selector.topics);
        assert_eq!(covered, is_in(&subscribe), "{name} in {text}");
    }
    assert!(!principal.admin || claims["fanfare"]["admin"] == true, "{text}");
}

fn verify(token: &str) -> Result<Principal, Untrusted> {
    let secret = Secret::new(SECRET.to_owned(), 1).expect("it is long enough");
    let keys = vec![VerificationKey::from_secret(&secret)];
    let verifier = TokenVerifier::new(keys, None, TokenRules::default());
    let mut verified = pin!(verifier.verify(token, NOW));
    match verified.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verified) => verified,
        Poll::Pending => panic!("there is no key set to wait for"),
    }
}
