//! A request is let in that shows no right, or turned away without saying which token would do.

use serde_json::{Value, json};

use super::{
    ISSUER, PATH, SECRET, URL, asking, claims, detail, guarded_hub, hub, hub_with, listen, post,
    publisher, sign, sign_with, subscriber, token,
};
use crate::support::issuer::now;
use crate::support::{Hub, Response, await_that};

const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

#[track_caller]
fn assert_challenged(answer: &Response, status: u16, error: Option<&str>) {
    assert_eq!(answer.status, status, "{answer:?}");
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    let metadata = format!("resource_metadata=\"https://hub.example.com{METADATA}\"");
    assert!(challenge.contains(&metadata), "{challenge}");
    match error {
        Some(error) => assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}"),
        None => assert!(!challenge.contains("error"), "{challenge}"),
    }
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims(&json!([detail(&["publish", "subscribe"], &["*"])]));
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = with("x", json!(1));
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Presents a token as a publisher and as a subscriber; both answers must be the same refusal.
#[track_caller]
fn assert_invalid(hub: &Hub, token: &str) {
    assert_challenged(&post(hub, token, "topic=a"), 401, Some("invalid_token"));
    let bearer = format!("Bearer {token}");
    let (answer, _) = asking(hub, "match=a").header("Authorization", &bearer).ask();
    assert_challenged(&answer, 401, Some("invalid_token"));
}

#[test]
fn nobody_publishes_without_a_token() {
    for hub in [hub(), guarded_hub(&["--anonymous-subscribe", "**"])] {
        let answer = hub.request("POST", PATH, &[]);
        assert_challenged(&answer, 401, None);
    }
}

#[test]
fn nobody_listens_without_a_token_unless_that_is_allowed() {
    let guarded = guarded_hub(&[]);
    let (answer, _) = asking(&guarded, "match=a").ask();
    assert_challenged(&answer, 401, None);
    let bearer = format!("Bearer {}", subscriber());
    asking(&guarded, "match=a").header("Authorization", &bearer).open();
    let open = guarded_hub(&["--anonymous-subscribe", "**"]);
    listen(&open, "match=a&match_urlpattern=/x/:y");
}

#[test]
fn a_token_is_checked_in_every_part() {
    let hub = guarded_hub(&[]);
    let good = with("x", json!(1));
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(post(&hub, &sign(Some(kind), &good), "topic=a").status, 200, "{kind}");
    }
    for kind in [None, Some("JWT"), Some("dpop+jwt")] {
        assert_invalid(&hub, &sign(kind, &good));
    }
    for (name, value) in [
        ("iss", json!("https://other.example.com")),
        ("iss", json!([ISSUER])),
        ("aud", json!("https://other.example.com")),
        ("aud", json!(["https://other.example.com"])),
        ("aud", json!(format!("{URL}/"))),
        ("exp", json!(now() - 5.0)),
        ("exp", json!("tomorrow")),
        ("nbf", json!(now() + 60.0)),
    ] {
        assert_invalid(&hub, &sign(Some("at+jwt"), &with(name, value)));
    }
    for name in ["iss", "aud", "exp"] {
        assert_invalid(&hub, &sign(Some("at+jwt"), &without(name)));
    }
    assert_invalid(&hub, &sign_with(&SECRET.replace('C', "c"), Some("at+jwt"), &good));
    assert_invalid(&hub, "x.y.z");
    let several = with("aud", json!(["https://other.example.com", URL]));
    assert_eq!(post(&hub, &sign(Some("at+jwt"), &several), "topic=a").status, 200);
}

#[test]
fn details_count_as_a_whole_or_not_at_all() {
    let hub = guarded_hub(&[]);
    let good = detail(&["publish"], &["*"]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = detail(&["publish"], &["b"]);
        change(&mut changed);
        token(&json!([good, changed]))
    };
    for bad in [
        with(&|detail| detail["actions"] = json!([])),
        with(&|detail| detail["actions"] = json!([1])),
        with(&|detail| detail["topics"] = json!([])),
        with(&|detail| detail["topics"] = json!(["a"])),
        with(&|detail| detail["topics"] = json!([{"match": "a", "match_type": "regex"}])),
        with(&|detail| {
            detail["topics"] = json!([{"match": "https://[", "match_type": "urlpattern"}]);
        }),
        token(&json!("x")),
        token(&json!(vec![good.clone(); 100])),
    ] {
        assert_invalid(&hub, &bad);
    }
    let other = json!([good, {"type": "https://other.example.com", "topics": 1}]);
    assert_eq!(post(&hub, &token(&other), "topic=a").status, 200);
    let unknown = json!([detail(&["publish", "dance"], &["a"])]);
    assert_eq!(post(&hub, &token(&unknown), "topic=a").status, 200);
}

#[test]
fn every_topic_needs_a_grant() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let mut heard = listen(&hub, "match=*");
    let limited = token(&json!([
        detail(&["publish"], &["a"]),
        {"type": super::DETAIL, "actions": ["publish"],
         "topics": [{"match": "https://example.com/:id", "match_type": "urlpattern"}]},
        detail(&["subscribe"], &["*"]),
    ]));
    for form in ["topic=b", "topic=a&topic=b", "topic=b&topic=a", "topic=https://example.com/1/2"] {
        assert_challenged(&post(&hub, &limited, form), 403, Some("insufficient_scope"));
    }
    for nothing in [token(&json!([])), subscriber(), token(&json!([detail(&["dance"], &["*"])]))] {
        assert_challenged(&post(&hub, &nothing, "topic=a"), 403, Some("insufficient_scope"));
    }
    assert_eq!(post(&hub, &limited, "topic=https://example.com/1&data=good").status, 200);
    assert_eq!(heard.next().data, "good", "what was refused is not dispatched");
}

#[test]
fn the_older_claim_is_honoured_and_ends() {
    let hub = guarded_hub(&[]);
    let older = |rights: Value| json!({"mercure": rights, "exp": now() + 60.0});
    let good = sign(Some("JWT"), &older(json!({"publish": ["/books/{id}"]})));
    assert_eq!(post(&hub, &good, "topic=/books/1").status, 200);
    assert_challenged(&post(&hub, &good, "topic=/films/1"), 403, Some("insufficient_scope"));
    let all = sign(Some("JWT"), &older(json!({"publish": ["*"], "subscribe": []})));
    assert_eq!(post(&hub, &all, "topic=a").status, 200);
    let over = json!({"mercure": {"publish": ["*"]}, "exp": now() - 1.0});
    assert_invalid(&hub, &sign(Some("JWT"), &over));
    assert_invalid(&hub, &sign(Some("JWT"), &older(json!({"publish": "*"}))));
    assert_invalid(&hub, &sign(Some("JWT"), &json!({"exp": now() + 60.0})));
    let endless = sign(Some("JWT"), &json!({"mercure": {"publish": ["*"]}}));
    assert_eq!(post(&hub, &endless, "topic=a").status, 200, "no end, as clients before 1.0 had it");
}

#[test]
fn a_token_comes_in_a_header_or_a_cookie_and_the_header_wins() {
    let hub = guarded_hub(&[]);
    let good = publisher();
    let ask = |headers: &[(&str, &str)]| {
        let form = ("Content-Type", super::FORM);
        let headers: Vec<_> = headers.iter().copied().chain([form]).collect();
        hub.connect().request("POST", PATH, &headers, b"topic=a")
    };
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(ask(&[("Authorization", &format!("{scheme} {good}"))]).status, 200);
    }
    let same = ("Sec-Fetch-Site", "same-origin");
    for name in
        ["__Secure-mercure_access_token", "__Secure-mercureAuthorization", "mercureAuthorization"]
    {
        let cookie = format!("{name}={good}");
        assert_eq!(ask(&[("Cookie", &cookie), same]).status, 200, "{name}");
        assert_challenged(&ask(&[("Cookie", &cookie)]), 401, None);
        let foreign = ("Origin", "https://evil.example");
        assert_challenged(&ask(&[("Cookie", &cookie), foreign]), 401, None);
        let both = [("Cookie", &*cookie), same, ("Authorization", "Bearer x.y.z")];
        assert_challenged(&ask(&both), 401, Some("invalid_token"));
    }
    let bearer = format!("Bearer {good}");
    let twice = [("Authorization", &*bearer), ("Authorization", &*bearer)];
    assert_challenged(&ask(&twice), 400, Some("invalid_request"));
}

#[test]
fn an_empty_token_is_no_downgrade() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let cookie = format!("mercureAuthorization={}", subscriber());
    let ask = |line: &str| {
        let asked = asking(&hub, "match=a").header("Authorization", line);
        let plain = asked.ask().0;
        (plain, asked.header("Cookie", &cookie).ask().0)
    };
    for line in ["Bearer", "bearer ", "Bearer\tx"] {
        let (plain, with_cookie) = ask(line);
        assert_challenged(&plain, 401, Some("invalid_token"));
        assert_challenged(&with_cookie, 401, Some("invalid_token"));
    }
    let (plain, with_cookie) = ask("Basic YTpi");
    assert_eq!((plain.status, with_cookie.status), (200, 200), "that is a proxy's");
}

#[test]
fn a_siblings_page_cannot_publish_by_cookie() {
    let hub = guarded_hub(&["--allow-origin", "https://app.hub.test"]);
    let cookie = format!("mercureAuthorization={}", publisher());
    let post = |headers: &[(&str, &str)]| {
        let own = [("Host", "hub.test"), ("Content-Type", super::FORM), ("Cookie", &*cookie)];
        let all = [&own[..], &[("Sec-Fetch-Site", "same-site")], headers].concat();
        let lines: String =
            all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut connection = hub.connect();
        connection.send(format!("POST {PATH} HTTP/1.1\r\n{lines}Content-Length: 7\r\n\r\ntopic=a"));
        connection.response("POST")
    };
    for origin in ["https://ugc.hub.test", "http://www.hub.test", "null", "http://hub.test:81"] {
        assert_challenged(&post(&[("Origin", origin)]), 401, None);
    }
    assert_challenged(&post(&[]), 401, None);
    assert_eq!(post(&[("Origin", "https://app.hub.test")]).status, 200);
    assert_eq!(post(&[("Origin", "http://hub.test")]).status, 200);
}

#[test]
fn a_cookie_that_is_no_longer_good_is_no_downgrade() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let dead = sign(Some("at+jwt"), &with("exp", json!(now() - 1.0)));
    let cookie = format!("__Secure-mercure_access_token={dead}");
    let (answer, _) = asking(&hub, "match=a").header("Cookie", &cookie).ask();
    assert_challenged(&answer, 401, Some("invalid_token"));
}

#[test]
fn a_token_in_the_address_counts_only_where_it_is_switched_on() {
    let token = publisher();
    let older = sign(Some("JWT"), &json!({"mercure": {"publish": ["*"]}, "exp": now() + 60.0}));
    let ask = |hub: &Hub, name: &str, token: &str| {
        let path = format!("{PATH}?{name}={token}");
        hub.connect().request("POST", &path, &[("Content-Type", super::FORM)], b"topic=a")
    };
    let hub = guarded_hub(&[]);
    for name in ["authorization", "access_token"] {
        assert_challenged(&ask(&hub, name, &token), 401, None);
    }
    let hub = guarded_hub(&["--mercure-query-token"]);
    assert_eq!(ask(&hub, "authorization", &older).status, 200);
    assert_challenged(&ask(&hub, "access_token", &token), 401, None);
}

#[test]
fn publishers_and_subscribers_may_have_keys_of_their_own() {
    let [publish, subscribe] = ["p", "s"].map(|c| c.repeat(40));
    let hub = hub_with(&[
        "--jwt-secret",
        SECRET,
        "--mercure-publisher-key",
        &publish,
        "--mercure-subscriber-key",
        &subscribe,
    ]);
    let everything = with("x", json!(1));
    let [publisher, subscriber] =
        [&publish, &subscribe].map(|key| sign_with(key, Some("at+jwt"), &everything));
    assert_eq!(post(&hub, &publisher, "topic=a").status, 200);
    assert_challenged(&post(&hub, &subscriber, "topic=a"), 401, Some("invalid_token"));
    assert_challenged(
        &post(&hub, &sign(Some("at+jwt"), &everything), "topic=a"),
        401,
        Some("invalid_token"),
    );
    let listen = |token: &str| {
        asking(&hub, "match=a").header("Authorization", &format!("Bearer {token}")).ask().0
    };
    assert_eq!(listen(&subscriber).status, 200);
    assert_challenged(&listen(&publisher), 401, Some("invalid_token"));
}

#[test]
fn a_key_is_good_for_its_own_issuer_alone() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = ["a", "b", "c"].map(|c| c.repeat(40));
    let files = secrets.each_ref().map(|secret| {
        let file = directory.path().join(&secret[..1]);
        std::fs::write(&file, secret).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let [of_a, of_b, of_all] = files.each_ref().map(|file| format!("@{file}"));
    let [bind_a, bind_b] = [0, 1].map(|n| format!("https://{n}.example.com={}", files[n]));
    let hub = hub_with(&[
        "--jwt-secret",
        &of_a,
        "--jwt-secret",
        &of_b,
        "--jwt-secret",
        &of_all,
        "--jwt-issuer-key",
        &bind_a,
        "--jwt-issuer-key",
        &bind_b,
    ]);
    let issuers = ["https://0.example.com", "https://1.example.com", ISSUER];
    for (key, secret) in secrets.iter().enumerate() {
        for (whose, issuer) in issuers.iter().enumerate() {
            let token = sign_with(secret, Some("at+jwt"), &with("iss", json!(issuer)));
            if key == whose {
                assert_eq!(post(&hub, &token, "topic=a").status, 200, "{secret} {issuer}");
            } else {
                assert_invalid(&hub, &token);
            }
        }
    }
    let older = |secret: &str| {
        let claims = json!({"mercure": {"publish": ["*"]}, "exp": now() + 60.0});
        post(&hub, &sign_with(secret, Some("JWT"), &claims), "topic=a").status
    };
    assert_eq!(
        (older(&secrets[2]), older(&secrets[0])),
        (200, 401),
        "who names nobody has no key of one"
    );
}

#[test]
fn a_stream_ends_with_its_token() {
    let hub = guarded_hub(&[]);
    // A token of a moment, which is longer on a busy machine.
    let mut heard = [2.0, 4.0, 8.0, 16.0].into_iter().find_map(|seconds| {
        let short = sign(Some("at+jwt"), &with("exp", json!((now() + seconds).floor())));
        asking(&hub, "match=a").header("Authorization", &format!("Bearer {short}")).try_open()
    });
    let heard = heard.as_mut().expect("it can be used");
    await_that("the end of the stream", || heard.try_next().unwrap().is_none());
}

#[test]
fn a_stream_whose_token_has_no_end_has_none() {
    // Long enough for something to be said meanwhile, on a busy machine too.
    let hub = guarded_hub(&["--max-stream-age", "3s"]);
    let endless = sign(Some("JWT"), &json!({"mercure": {"subscribe": ["*"]}}));
    let bearer = format!("Bearer {endless}");
    let ask = || asking(&hub, "match=a").header("Authorization", &bearer);
    let mut heard = ask().open();
    let say = |form: &str| assert_eq!(post(&hub, &publisher(), form).status, 200);
    say("topic=a&data=1");
    assert_eq!(heard.next().data, "1");
    assert_eq!(heard.until_closed(), [], "nor is it told that its token has ended");
    assert_eq!(heard.retries.len(), 2, "when to come back, at the beginning and at the end");
    say("topic=a&data=2");
    assert_eq!(ask().after(heard.last_event_id()).open().next().data, "2");
}

#[test]
fn the_metadata_say_whom_tokens_are_meant_for() {
    let answer = guarded_hub(&[]).get(METADATA);
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["resource"], URL);
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    assert_eq!(document["authorization_details_types_supported"], json!([super::DETAIL]));
    assert_eq!(document["mercure_cookie"], "__Secure-mercure_access_token");
    assert_eq!(document.get("mercure_subscriptions"), None);
}

#[test]
fn pages_of_allowed_origins_may_use_it_and_no_others() {
    let hub = guarded_hub(&["--allow-origin", "https://app.example.com"]);
    let bearer = format!("Bearer {}", subscriber());
    let ask = |origin: &str| {
        let subscription = asking(&hub, "match=a").header("Authorization", &bearer);
        subscription.header("Origin", origin).after("#1-1").ask().0
    };
    let allowed = ask("https://app.example.com");
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
    let exposed = allowed.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
    assert!(exposed.contains("mercure-last-event-id") && exposed.contains("link"), "{exposed}");
    assert_eq!(ask("https://evil.example").header("access-control-allow-origin"), None);
    let preflight = hub.request(
        "OPTIONS",
        PATH,
        &[("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "QUERY")],
    );
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("QUERY"));
}
